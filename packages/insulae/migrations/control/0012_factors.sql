-- Second factors and passkeys, of accounts (tenant_id is null) and of users with a password of their
-- own. What is here counts: one that is being set up is a one-time token until it is proved.
create table control.factors (
  id uuid primary key default app.uuid_v7(),
  tenant_id uuid references control.tenants on delete cascade,
  subject_id uuid not null,
  kind text not null check (kind in ('totp', 'passkey')),
  name text not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  -- totp: the secret, sealed, and the 30-second step of the last code that was accepted.
  sealed_secret text,
  last_step bigint,
  -- passkey: the credential's id, its COSE key, how often it says it was used, and the relying party
  -- (a host name) that it was made for.
  credential_id text unique,
  public_key bytea,
  counter bigint,
  transports text[],
  rp_id text,
  check ((kind = 'totp') = (sealed_secret is not null and last_step is not null)),
  check ((kind = 'passkey') = (
    credential_id is not null and public_key is not null and counter is not null
    and transports is not null and rp_id is not null
  ))
);
create unique index factors_totp on control.factors (subject_id, tenant_id) nulls not distinct
  where kind = 'totp';
create index factors_subject on control.factors (subject_id, tenant_id);
create index factors_tenant on control.factors (tenant_id);

-- Each is good once, and then gone.
create table control.recovery_codes (
  -- HMAC-SHA-256 of the code and whose it is.
  hash bytea primary key,
  tenant_id uuid references control.tenants on delete cascade,
  subject_id uuid not null
);
create index recovery_codes_subject on control.recovery_codes (subject_id, tenant_id);
create index recovery_codes_tenant on control.recovery_codes (tenant_id);

-- Codes that were tried since the last right one, and until when no other is looked at.
create table control.factor_attempts (
  tenant_id uuid references control.tenants on delete cascade,
  subject_id uuid not null,
  attempts integer not null,
  paused_until timestamptz not null,
  constraint factor_attempts_subject_key unique nulls not distinct (subject_id, tenant_id)
);
create index factor_attempts_tenant on control.factor_attempts (tenant_id);

alter table control.sessions
  -- How its subject proved who they are (RFC 8176), and when they did last.
  add column amr text[] not null default '{pwd}',
  add column proved_at timestamptz not null default now();

-- Where a tenant begins to ask for a second factor, the sessions that were made without one are over.
create function control.end_single_factor_sessions() returns trigger language plpgsql as $$
begin
  update control.sessions
    set ended_at = clock_timestamp()
    where tenant_id = new.id and ended_at is null and not ('mfa' = any (amr));
  return null;
end $$;

create trigger tenants_second_factor after update on control.tenants
  for each row when (
    new.settings ->> 'second_factor' = 'required'
    and old.settings ->> 'second_factor' is distinct from 'required'
  )
  execute function control.end_single_factor_sessions();

grant select, insert, update, delete
  on control.factors, control.recovery_codes, control.factor_attempts
  to insulae_control;

-- down
drop trigger tenants_second_factor on control.tenants;
drop function control.end_single_factor_sessions();
alter table control.sessions drop column amr, drop column proved_at;
drop table control.factor_attempts;
drop table control.recovery_codes;
drop table control.factors;
