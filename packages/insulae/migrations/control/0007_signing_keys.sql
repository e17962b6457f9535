-- Signing keys are published before they sign, so that whoever keeps the list for a while has them.
alter table control.signing_keys add column signs_from timestamptz not null default now();

create function control.announce_keys() returns trigger language plpgsql as $$
begin
  perform pg_notify('insulae', 'keys');
  return null;
end $$;

create trigger signing_keys_announce after insert or update or delete on control.signing_keys
  for each statement execute function control.announce_keys();

-- down
drop trigger signing_keys_announce on control.signing_keys;
drop function control.announce_keys();
alter table control.signing_keys drop column signs_from;
