create table api_keys (
  id uuid primary key default app.uuid_v7(),
  -- Who made it: it may do what it was made for, as far as they may do that themselves.
  user_id uuid not null,
  name text not null,
  scopes text[] not null,
  secret_hash bytea not null,
  expires_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz not null default now()
);

select app.tenant_table('api_keys');
select app.tenant_reference('api_keys', 'user_id', 'users', 'cascade');

-- down
drop table api_keys;
