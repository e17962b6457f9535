-- PROVISIONAL: the fence's own migration replaces this file.
create table app.moves (
  tenant_id uuid not null,
  schema text not null,
  move_id uuid not null,
  epoch integer not null,
  state text not null check (state in ('open', 'closed')),
  since timestamptz not null default now(),
  primary key (tenant_id, schema)
);
create table app.move_changes (
  tenant_id uuid not null,
  schema text not null,
  seq bigint generated always as identity,
  tbl text not null,
  key jsonb not null,
  primary key (tenant_id, schema, seq)
) with (autovacuum_vacuum_scale_factor = 0.02);

create function app.move_guard() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  tenant constant text := current_setting('app.current_tenant_id', true);
begin
  perform pg_advisory_xact_lock_shared(
    hashtextextended('insulae move ' || tenant || '/' || tg_table_schema, 0));
  perform from app.moves
    where tenant_id = tenant::uuid and schema = tg_table_schema and state = 'open' for share;
  if not found then
    raise exception 'the tenant has moved' using errcode = 'MV001';
  end if;
  return null;
end $$;

create function app.move_capture() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  before jsonb := to_jsonb(old);
  after jsonb := to_jsonb(new);
  old_key jsonb;
  new_key jsonb;
begin
  if before is not null then
    select jsonb_agg(before -> name order by i) into old_key
      from unnest(tg_argv) with ordinality as names (name, i);
    insert into app.move_changes (tenant_id, schema, tbl, key)
      values (old.tenant_id, tg_table_schema, tg_table_name, coalesce(old_key, '[]'));
  end if;
  if after is not null then
    select jsonb_agg(after -> name order by i) into new_key
      from unnest(tg_argv) with ordinality as names (name, i);
    if old_key is distinct from new_key or before is null then
      insert into app.move_changes (tenant_id, schema, tbl, key)
        values (new.tenant_id, tg_table_schema, tg_table_name, coalesce(new_key, '[]'));
    end if;
  end if;
  return null;
end $$;

insert into app.definer_functions (signature, reason) values
  ('app.move_guard()', 'the application may not read app.moves'),
  ('app.move_capture()', 'the application may not write app.move_changes');
revoke execute on function app.move_guard, app.move_capture from public;

-- down
delete from app.definer_functions where signature in ('app.move_guard()', 'app.move_capture()');
drop function app.move_capture();
drop function app.move_guard();
drop table app.move_changes;
drop table app.moves;
