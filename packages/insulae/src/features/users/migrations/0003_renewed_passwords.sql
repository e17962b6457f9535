-- The same password, hashed anew, ends nobody's sessions. Who does that writes the hash here as well;
-- the trigger takes it away again, so that it is never stored.
alter table users add column renewed_hash text check (renewed_hash is null);

create or replace function users_end_sessions() returns trigger language plpgsql as $$
begin
  if (new.password_hash is distinct from old.password_hash
      and new.password_hash is distinct from new.renewed_hash)
    or new.account_id is distinct from old.account_id
    or (old.is_active and not new.is_active)
  then
    new.sessions_valid_from :=
      greatest(clock_timestamp(), old.sessions_valid_from + interval '1 millisecond');
  end if;
  new.renewed_hash := null;
  return new;
end $$;

-- down
create or replace function users_end_sessions() returns trigger language plpgsql as $$
begin
  if new.password_hash is distinct from old.password_hash
    or new.account_id is distinct from old.account_id
    or (old.is_active and not new.is_active)
  then
    new.sessions_valid_from :=
      greatest(clock_timestamp(), old.sessions_valid_from + interval '1 millisecond');
  end if;
  return new;
end $$;

alter table users drop column renewed_hash;
