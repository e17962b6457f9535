-- The same password, hashed anew, ends nobody's sessions. Who does that writes the hash here as well;
-- the trigger takes it away again, so that it is never stored.
alter table control.accounts add column renewed_hash text check (renewed_hash is null);

create or replace function control.end_sessions_of_account() returns trigger language plpgsql as $$
begin
  if (new.password_hash is distinct from old.password_hash
      and new.password_hash is distinct from new.renewed_hash)
    or (old.is_active and not new.is_active)
  then
    new.sessions_valid_from :=
      greatest(clock_timestamp(), old.sessions_valid_from + interval '1 millisecond');
  end if;
  new.renewed_hash := null;
  return new;
end $$;

-- down
create or replace function control.end_sessions_of_account() returns trigger language plpgsql as $$
begin
  if new.password_hash is distinct from old.password_hash or (old.is_active and not new.is_active)
  then
    new.sessions_valid_from :=
      greatest(clock_timestamp(), old.sessions_valid_from + interval '1 millisecond');
  end if;
  return new;
end $$;

alter table control.accounts drop column renewed_hash;
