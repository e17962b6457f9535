-- All sessions of a user end with a change of this; see kernel/auth/authority.ts. To the millisecond,
-- which is what JavaScript's dates can hold.
alter table users add column sessions_valid_from timestamptz(3) not null default now();

-- Nobody can forget it: another password, another account, or being switched off ends them.
create function users_end_sessions() returns trigger language plpgsql as $$
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

create trigger users_end_sessions before update on users
  for each row execute function users_end_sessions();

-- down
drop trigger users_end_sessions on users;
drop function users_end_sessions();
alter table users drop column sessions_valid_from;
