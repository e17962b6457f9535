-- Quotas: how much of something a tenant may have, or do in a day. They are held here, by the tables
-- themselves, so that every way to a row is counted and no two at once get past the last one:
--
--   insert, delete ──► trigger: how much? ──► the quota's counter, one row a tenant ──► too much: refused
--
-- What a tenant may have comes with the scope of a statement that writes (`app.quotas`), and only with
-- that of a tenant that has quotas. For all others the triggers are not called.
--
--   {"plan": "free", "basis": "2026-03-01T…", "users": 10, "rows": 10000}
--
-- A counter is believed for as long as the tenant itself has not changed (`basis`); then it is counted
-- anew, since nobody counted while there was no limit. Counters of a day begin at 0 at midnight (UTC).

create function app.count_towards_quota() returns trigger
language plpgsql as $$
declare
  quota constant text := tg_argv[0];
  quotas constant jsonb := current_setting('app.quotas');
  allowed constant bigint := quotas ->> quota;
  today constant date := now() at time zone 'UTC';
  difference bigint;
  total bigint;
begin
  if tg_nargs = 1 then
    select count(*) into difference from changed;
  elsif tg_op = 'UPDATE' then
    execute format(
      'select (select coalesce(sum(%1$I), 0) from changed) - (select coalesce(sum(%1$I), 0) from replaced)',
      tg_argv[1]) into difference;
  else
    execute format('select coalesce(sum(%I), 0) from changed', tg_argv[1]) into difference;
  end if;
  if difference = 0 then
    return null;
  end if;
  if tg_op = 'DELETE' then
    difference := -difference;
  end if;

  if quota like '%\_per\_day' then
    insert into quota_counters as counter (name, day, used) values (quota, today, difference)
    on conflict (tenant_id, name) do update set
      used = excluded.used + case when counter.day = excluded.day then counter.used else 0 end,
      day = excluded.day
    returning used into total;
  else
    update quota_counters set used = used + difference
      where name = quota and basis = quotas ->> 'basis'
      returning used into total;
    if total is null then
      total := app.recount_quota(tg_relid, quota, quotas ->> 'basis');
    end if;
  end if;

  if difference > 0 and total > allowed then
    raise exception 'the quota % is used up', quota using
      errcode = 'QX001',
      detail = jsonb_build_object('quota', quota, 'limit', allowed, 'plan', quotas ->> 'plan');
  end if;
  return null;
end $$;

-- What is there of a quota, and by which tables of the schema that `any_table` is in.
create function app.quota_tables(any_table regclass)
returns table (name text, relation regclass, amount text)
language sql stable set search_path = pg_catalog as $$
  select arguments[1], c.oid::regclass,
    case when t.tgnargs = 1 then 'count(*)' else format('coalesce(sum(%I), 0)', arguments[2]) end
  from pg_class c
  join pg_trigger t on t.tgrelid = c.oid
  cross join string_to_array(encode(t.tgargs, 'escape'), '\000') arguments
  where c.relnamespace = (select relnamespace from pg_class where oid = any_table)
    and t.tgfoid = 'app.count_towards_quota'::regproc
    and t.tgtype & 4 <> 0
    and arguments[1] not like '%\_per\_day'
$$;

-- Counts what there is, in the caller's scope, and begins a counter with it. Whoever changes counted
-- rows waits for the counter at the end of their statement, so nothing is missed and nothing twice.
create function app.recount_quota(any_table regclass, quota text, new_basis text) returns bigint
language plpgsql as $$
declare
  part record;
  amount bigint;
  total bigint := 0;
begin
  insert into quota_counters (name, used) values (quota, 0) on conflict do nothing;
  perform from quota_counters where name = quota for update;
  for part in select * from app.quota_tables(any_table) as tables where tables.name = quota loop
    execute format('select %s from %s', part.amount, part.relation) into amount;
    total := total + amount;
  end loop;
  update quota_counters set used = total, basis = new_basis where name = quota;
  return total;
end $$;

-- What the tenant has at present, of all that there are quotas for. Where it is limited, its counters
-- are set right by the way.
create function app.measure_usage() returns table (name text, amount bigint)
language plpgsql as $$
declare
  quotas constant jsonb := nullif(current_setting('app.quotas', true), '');
  any_table constant regclass := app.table_here('quota_counters');
  part record;
  part_amount bigint;
begin
  for name in select distinct tables.name from app.quota_tables(any_table) as tables loop
    if quotas ? name then
      amount := app.recount_quota(any_table, name, quotas ->> 'basis');
    else
      amount := 0;
      for part in
        select * from app.quota_tables(any_table) as tables where tables.name = measure_usage.name
      loop
        execute format('select %s from %s', part.amount, part.relation) into part_amount;
        amount := amount + part_amount;
      end loop;
    end if;
    return next;
  end loop;
end $$;

-- In a feature's migration: the rows of this table count towards a quota, one each, or as much as
-- `amount_column` says: app.counts_towards('contacts', 'rows'),
-- app.counts_towards('files', 'storage_bytes', 'size'). What is deleted no longer counts, but for a
-- quota of a day (`…_per_day`).
create function app.counts_towards(table_name text, quota text, amount_column text default null)
returns void
language plpgsql as $$
declare
  target regclass := app.table_here(table_name);
  arguments text := concat_ws(', ', quote_literal(quota), quote_literal(amount_column));
  event record;
begin
  for event in
    select * from (values
      ('insert', 'new table as changed'),
      ('delete', 'old table as changed'),
      ('update', 'old table as replaced new table as changed')
    ) as events (name, tables)
  loop
    continue when event.name = 'update' and amount_column is null;
    continue when event.name <> 'insert' and quota like '%\_per\_day';
    execute format(
      'create trigger %I after %s on %s referencing %s for each statement '
      'when (current_setting(''app.quotas'', true) like %L) '
      'execute function app.count_towards_quota(%s)',
      concat_ws('_', table_name, quota, event.name), event.name, target, event.tables,
      format('%%"%s"%%', quota), arguments);
  end loop;
end $$;

revoke execute on function
  app.count_towards_quota, app.quota_tables, app.recount_quota, app.measure_usage, app.counts_towards
  from public;
grant execute on function
  app.quota_tables, app.recount_quota, app.measure_usage, app.table_here to insulae_data;

-- down
revoke execute on function app.table_here from insulae_data;
drop function app.counts_towards;
drop function app.measure_usage;
drop function app.count_towards_quota;
drop function app.recount_quota;
drop function app.quota_tables;
