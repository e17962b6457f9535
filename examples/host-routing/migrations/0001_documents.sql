create table documents (
  id uuid primary key default app.uuid_v7(),
  title text not null,
  content text not null default '',
  created_at timestamptz not null default now()
);

select app.tenant_table('documents');

-- down
drop table documents;
