-- The platform's log is chained behind its entries. As long as the insert gave an entry its place in the chain, all
-- tenants' log-ins, and whatever else the platform's log has, waited for each other until the end of
-- their transactions. Now an entry is inserted without number and hash, in the transaction that it
-- belongs to; control.chain_audit_log() gives them to all that is committed, in batches.
drop trigger audit_log_append on control.audit_log;

alter table control.audit_log
  drop constraint audit_log_pkey,
  add primary key (id),
  alter seq drop not null,
  alter hash drop not null,
  alter at set default clock_timestamp(),
  add constraint audit_log_seq_key unique (seq),
  add constraint audit_log_chained check ((seq is null) = (hash is null));
create index audit_log_unchained on control.audit_log (at, id) where seq is null;

-- Gives the oldest entries that have none their numbers and hashes, and returns how many; null while
-- somebody else is at it, for whom nobody waits here. The application can't change an entry: this can,
-- with its owner's privileges, and only what was null.
create function control.chain_audit_log(most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
  entry control.audit_log;
  last record;
  chained integer := 0;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('insulae audit platform', 0)) then
    return null;
  end if;
  select seq, hash into last
    from control.audit_log where seq is not null order by seq desc limit 1;
  for entry in
    select * from control.audit_log where seq is null order by at, id limit most
  loop
    entry.seq := coalesce(last.seq, 0) + 1;
    entry.previous_hash := last.hash;
    entry.hash := app.audit_hash(array[
      'platform', entry.seq::text, entry.id::text,
      to_char(entry.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      entry.action, entry.outcome, entry.actor_kind, entry.actor_id, entry.actor_name,
      entry.impersonator, entry.target_type, entry.target_id, entry.ip, entry.user_agent,
      entry.request_id, entry.detail::text, entry.previous_hash]);
    update control.audit_log
      set seq = entry.seq, previous_hash = entry.previous_hash, hash = entry.hash
      where id = entry.id;
    select entry.seq as seq, entry.hash as hash into last;
    chained := chained + 1;
  end loop;
  return chained;
end $$;

revoke execute on function control.chain_audit_log from public;
grant execute on function control.chain_audit_log to insulae_control;
insert into app.definer_functions values (
  'control.chain_audit_log(integer)',
  'the application may insert entries and not change them: numbers and hashes are this function''s to give'
);

-- down
select control.chain_audit_log(2147483647);
delete from app.definer_functions where signature = 'control.chain_audit_log(integer)';
drop function control.chain_audit_log;
drop index control.audit_log_unchained;
alter table control.audit_log
  drop constraint audit_log_chained,
  drop constraint audit_log_seq_key,
  drop constraint audit_log_pkey,
  alter at drop default,
  alter seq set not null,
  alter hash set not null,
  add primary key (seq);
create trigger audit_log_append before insert on control.audit_log
  for each row execute function app.append_audit_entry('platform');
