create table contacts (
  id uuid primary key default app.uuid_v7(),
  name text not null,
  email text,
  phone text,
  company text,
  notes text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- A page by name walks this index; a page of the newest, and a search, walk the primary key. Both
-- lead with tenant_id once the table is a tenant's, so a search reads one tenant's rows at most.
create index contacts_name_idx on contacts (lower(name), id);

select app.tenant_table('contacts');

-- down
drop table contacts;
