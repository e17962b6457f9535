-- An administrator of the platform acts as a tenant's user. The id is that of the session in
-- control.sessions, which is what ends; this stays for the tenant to see.
create table control.impersonations (
  id uuid primary key,
  tenant_id uuid not null references control.tenants on delete cascade,
  user_id uuid not null,
  administrator_id uuid not null references control.accounts on delete cascade,
  reason text not null,
  created_at timestamptz not null default now(),
  ends_at timestamptz not null,
  -- Before its time.
  ended_at timestamptz
);
create index impersonations_tenant on control.impersonations (tenant_id, id);
create index impersonations_administrator on control.impersonations (administrator_id);

-- However its session ends.
create function control.end_impersonation() returns trigger language plpgsql as $$
begin
  update control.impersonations
    set ended_at = new.ended_at
    where id = new.id and ended_at is null and ends_at > new.ended_at;
  return null;
end $$;

create trigger sessions_end_impersonation after update of ended_at on control.sessions
  for each row
  when (new.impersonator_id is not null and old.ended_at is null and new.ended_at is not null)
  execute function control.end_impersonation();

-- What ends all sign-ins of an administrator (another password, a log-out everywhere) ends what they
-- do as others, too.
create function control.end_impersonations_of_account() returns trigger language plpgsql as $$
begin
  update control.sessions
    set ended_at = clock_timestamp()
    where impersonator_id = new.id and ended_at is null and expires_at > now();
  return null;
end $$;

create trigger accounts_end_impersonations after update of sessions_valid_from, password_hash, is_active
  on control.accounts
  for each row when (old.sessions_valid_from <> new.sessions_valid_from)
  execute function control.end_impersonations_of_account();

grant select, insert, update on control.impersonations to insulae_control;

-- down
drop trigger accounts_end_impersonations on control.accounts;
drop function control.end_impersonations_of_account();
drop trigger sessions_end_impersonation on control.sessions;
drop function control.end_impersonation();
drop table control.impersonations;
