-- A tenant's own roles. The system roles are in the code, the same in every tenant, and not here.
create table roles (
  id uuid primary key default app.uuid_v7(),
  name text not null,
  description text not null default '',
  -- By name; what no feature declares any more is ignored.
  permissions text[] not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create unique index roles_name_key on roles (lower(name));

create table user_roles (
  user_id uuid not null,
  role_id uuid not null,
  assigned_at timestamptz not null default now(),
  primary key (user_id, role_id)
);

select app.tenant_table('roles');
select app.tenant_table('user_roles');

select app.tenant_reference('user_roles', 'user_id', 'users', 'cascade');
select app.tenant_reference('user_roles', 'role_id', 'roles', 'cascade');

-- down
drop table user_roles;
drop table roles;
