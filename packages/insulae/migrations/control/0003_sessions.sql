-- Sign-ins. One row is one log-in, of an account (tenant_id is null) or of a tenant's user, however
-- many tokens follow from it; its id is their `sid`.
create table control.sessions (
  id uuid primary key default app.uuid_v7(),
  tenant_id uuid references control.tenants on delete cascade,
  subject_id uuid not null,
  -- How the caller shows it: 'token', …
  kind text not null,
  -- What the subject's sessions_valid_from was when they proved who they are. Another value since
  -- then has ended the session, without a change here.
  epoch text not null,
  -- The platform administrator who acts as the subject.
  impersonator_id uuid references control.accounts on delete cascade,
  ip text,
  user_agent text,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  expires_at timestamptz not null,
  ended_at timestamptz,
  -- The refresh token that is good at present: how many came before it, and the hash of its secret.
  refresh_generation integer not null default 0,
  refresh_hash bytea,
  refreshed_at timestamptz not null default now()
);
create index sessions_subject on control.sessions (subject_id, tenant_id, id);
create index sessions_tenant on control.sessions (tenant_id);
create index sessions_impersonator on control.sessions (impersonator_id)
  where impersonator_id is not null;
create index sessions_ended on control.sessions (ended_at) where ended_at is not null;
create index sessions_expires on control.sessions (expires_at);

create function control.announce_session() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'session:' || new.id);
  return null;
end $$;

create trigger sessions_announce after update of ended_at on control.sessions
  for each row when (old.ended_at is null and new.ended_at is not null)
  execute function control.announce_session();

-- Whoever is no longer a member has no sessions in the tenant.
create function control.end_sessions_of_member() returns trigger language plpgsql as $$
begin
  update control.sessions
    set ended_at = clock_timestamp()
    where tenant_id = old.tenant_id and subject_id = old.user_id and ended_at is null;
  return null;
end $$;

create trigger memberships_end_sessions after delete on control.memberships
  for each row execute function control.end_sessions_of_member();

-- All sessions of an account, and of the users that are linked to it, end with a change of this. To
-- the millisecond, which is what JavaScript's dates can hold.
alter table control.accounts
  add column sessions_valid_from timestamptz(3) not null default now();

create function control.end_sessions_of_account() returns trigger language plpgsql as $$
begin
  if new.password_hash is distinct from old.password_hash or (old.is_active and not new.is_active)
  then
    new.sessions_valid_from :=
      greatest(clock_timestamp(), old.sessions_valid_from + interval '1 millisecond');
  end if;
  return new;
end $$;

create trigger accounts_end_sessions before update on control.accounts
  for each row execute function control.end_sessions_of_account();

grant select, insert, update, delete on control.sessions to insulae_control;

-- down
drop trigger accounts_end_sessions on control.accounts;
drop function control.end_sessions_of_account();
alter table control.accounts drop column sessions_valid_from;
drop trigger memberships_end_sessions on control.memberships;
drop function control.end_sessions_of_member();
drop table control.sessions;
drop function control.announce_session();
