-- The control plane: who the tenants are, where their rows are, and who may manage them.
create schema control;

create table control.servers (
  id uuid primary key default app.uuid_v7(),
  name text not null unique check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  -- The administrator's connection URL, sealed with a key derived from the master secret;
  -- null for the first server, whose URL is DATABASE_URL.
  sealed_url text,
  -- New tenants go to the accepting server with the fewest tenants for its weight.
  weight integer not null default 1 check (weight > 0),
  accepting boolean not null default true,
  created_at timestamptz not null default now()
);

create table control.placements (
  id uuid primary key default app.uuid_v7(),
  server_id uuid not null references control.servers,
  database text not null,
  schema text not null,
  isolation text not null check (isolation in ('pool', 'schema', 'database')),
  -- How many data-plane migrations the placement has.
  version integer not null default 0,
  created_at timestamptz not null default now(),
  unique (server_id, database, schema)
);

create table control.accounts (
  id uuid primary key default app.uuid_v7(),
  email text not null unique,
  password_hash text not null,
  first_name text not null default '',
  last_name text not null default '',
  platform_admin boolean not null default false,
  is_owner boolean not null default false,
  is_active boolean not null default true,
  email_verified boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table control.tenants (
  id uuid primary key default app.uuid_v7(),
  key text not null,
  slug text not null,
  number bigint generated always as identity unique,
  name text not null,
  status text not null default 'provisioning'
    check (status in ('provisioning', 'active', 'suspended', 'deleted')),
  plan text not null default 'free',
  settings jsonb not null default '{}',
  owner_account_id uuid references control.accounts,
  placement_id uuid references control.placements,
  deleted_at timestamptz,
  -- When a deleted tenant's rows may be erased.
  erase_after timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- A key is taken while its tenant lives; a deleted tenant gives its key back, never its id.
create unique index tenants_key_unique on control.tenants (key) where status <> 'deleted';
create unique index tenants_slug_unique on control.tenants (slug) where status <> 'deleted';
create index tenants_placement on control.tenants (placement_id);

create table control.hosts (
  hostname text primary key,
  tenant_id uuid references control.tenants,
  created_at timestamptz not null default now()
);
create index hosts_tenant on control.hosts (tenant_id);

create table control.memberships (
  account_id uuid not null references control.accounts on delete cascade,
  tenant_id uuid not null references control.tenants on delete cascade,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (account_id, tenant_id)
);
create index memberships_tenant on control.memberships (tenant_id, user_id);

create table control.signing_keys (
  id text primary key,
  algorithm text not null,
  public_jwk jsonb not null,
  -- The private JWK, sealed with a key derived from the master secret.
  sealed_private_jwk text not null,
  created_at timestamptz not null default now(),
  retired_at timestamptz
);

-- What the platform itself must be able to account for. Rows are added, never changed.
create table control.audit_log (
  id uuid primary key default app.uuid_v7(),
  at timestamptz not null default now(),
  action text not null,
  tenant_id uuid,
  actor text,
  request_id text,
  detail jsonb not null default '{}'
);
create index audit_log_at on control.audit_log (at);

-- Every node hears of a change in the transaction that makes it; payloads are ids only.
create function control.announce_tenant() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'tenants' then
    perform pg_notify('insulae', 'tenant:' || coalesce(new.id, old.id));
  else
    if tg_op <> 'INSERT' and old.tenant_id is not null then
      perform pg_notify('insulae', 'tenant:' || old.tenant_id);
    end if;
    if tg_op <> 'DELETE' and new.tenant_id is not null then
      perform pg_notify('insulae', 'tenant:' || new.tenant_id);
    end if;
  end if;
  return null;
end $$;

create function control.announce_placement() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'placement:' || new.id);
  return null;
end $$;

create function control.announce_account() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'account:' || old.id);
  return null;
end $$;

create trigger accounts_announce after update or delete on control.accounts
  for each row execute function control.announce_account();
create trigger tenants_announce after insert or update or delete on control.tenants
  for each row execute function control.announce_tenant();
create trigger hosts_announce after insert or update or delete on control.hosts
  for each row execute function control.announce_tenant();
create trigger placements_announce after update on control.placements
  for each row execute function control.announce_placement();

create trigger tenants_touch before update on control.tenants
  for each row execute function app.touch();
create trigger accounts_touch before update on control.accounts
  for each row execute function app.touch();

grant usage on schema control to insulae_control;
grant select, insert, update, delete on
  control.servers, control.placements, control.accounts, control.tenants, control.hosts,
  control.memberships, control.signing_keys
  to insulae_control;
grant select, insert on control.audit_log to insulae_control;

-- down
drop schema control cascade;
