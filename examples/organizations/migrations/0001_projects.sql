create table projects (
  id uuid primary key default app.uuid_v7(),
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint projects_name_key unique (name)
);

select app.tenant_table('projects');

-- down
drop table projects;
