create table documents (
  id uuid primary key default app.uuid_v7(),
  title text not null,
  content text not null default '',
  created_by uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index documents_created_by_idx on documents (created_by);

select app.tenant_table('documents');
select app.tenant_reference('documents', 'created_by', 'users', 'set null');

-- down
drop table documents;
