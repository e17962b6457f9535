-- Audit logs are chains: each entry holds the hash of the one before it, so that none can be changed,
-- taken out, put in or moved without all that follow telling of it. A tenant's log is one chain (in
-- whatever placement its rows are), the platform's another.

-- SHA-256 over a list of fields. Each is written as `<octets>:<text>,`, and null as `-`, so that two
-- lists that differ are never written alike. Anybody can compute it again from an export.
create function app.audit_hash(fields text[]) returns text
language sql immutable parallel safe
return (
  select encode(sha256(convert_to(string_agg(
    case when field is null then '-' else octet_length(field) || ':' || field || ',' end,
    '' order by place), 'UTF8')), 'hex')
  from unnest(fields) with ordinality as listed (field, place)
);

-- Appends a row to its chain: gives it its number, time and hash. Its argument names the chain; without
-- one, it is the row's tenant.
--
-- Appends to one chain wait for each other until the end of their transactions, so that the order of
-- the numbers is the order of commits, and a transaction that is rolled back leaves no gap. Hence an
-- entry is the last thing that a transaction writes.
--
-- A row that comes with a hash is a copy from another placement, and stays as it is. The application
-- has no privilege to name that column; only the tables' owner does.
create function app.append_audit_entry() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
  chain text := coalesce(tg_argv[0], to_jsonb(new) ->> 'tenant_id');
  last record;
begin
  if new.hash is not null then
    return new;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('insulae audit ' || chain, 0));
  if tg_nargs = 0 then
    execute format(
      'select seq, hash from %I.%I where tenant_id = $1 order by seq desc limit 1',
      tg_table_schema, tg_table_name)
    into last using chain::uuid;
  else
    execute format(
      'select seq, hash from %I.%I order by seq desc limit 1', tg_table_schema, tg_table_name)
    into last;
  end if;
  new.seq := coalesce(last.seq, 0) + 1;
  new.at := coalesce(new.at, clock_timestamp());
  new.previous_hash := last.hash;
  new.hash := app.audit_hash(array[
    chain, new.seq::text, new.id::text,
    to_char(new.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    new.action, new.outcome, new.actor_kind, new.actor_id, new.actor_name, new.impersonator,
    new.target_type, new.target_id, new.ip, new.user_agent, new.request_id,
    new.detail::text, new.previous_hash]);
  return new;
end $$;

revoke execute on function app.audit_hash, app.append_audit_entry from public;
grant execute on function app.audit_hash to insulae_data, insulae_control;

-- down
drop function app.append_audit_entry;
drop function app.audit_hash;
