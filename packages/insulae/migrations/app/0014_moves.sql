-- The fence of tenants that move: docs/moves.md. A row stands only for a tenant that is being moved, or has
-- moved away from here.
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

-- The state of the fence, once the tenant's writers are not shut out; it stays until the transaction ends.
-- The advisory lock queues fairly. The row's lock refuses a transaction whose snapshot is older than the
-- fence (40001): without it, that would see the row as it was.
create function app.fence_state(tenant uuid, place text) returns text
language plpgsql set search_path = pg_catalog as $$
begin
  perform pg_advisory_xact_lock_shared(
    hashtextextended('insulae move ' || tenant || '/' || place, 0));
  return (select state from app.moves where tenant_id = tenant and schema = place for share);
end $$;

create function app.move_guard() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  tenant constant uuid := current_setting('app.current_tenant_id')::uuid;
begin
  if app.fence_state(tenant, tg_table_schema) is distinct from 'open' then
    raise exception 'the tenant has moved' using errcode = 'MV001';
  end if;
  return null;
end $$;

-- What a transaction of a tenant that is being moved begins with: from here to its end there is no
-- cut-over. Where the tenant never was, or its move begins only now, there is no row.
create function app.wait_for_cut_over(place text) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
  tenant constant uuid := current_setting('app.current_tenant_id')::uuid;
begin
  if app.fence_state(tenant, place) = 'closed' then
    raise exception 'the tenant has moved' using errcode = 'MV001';
  end if;
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
  ('app.wait_for_cut_over(text)', 'the application may not read app.moves'),
  ('app.move_capture()', 'the application may not write app.move_changes');
revoke execute on function app.fence_state, app.move_guard, app.move_capture from public;

-- down
delete from app.definer_functions
  where signature in ('app.move_guard()', 'app.wait_for_cut_over(text)', 'app.move_capture()');
drop function app.move_capture();
drop function app.wait_for_cut_over(text);
drop function app.move_guard();
drop function app.fence_state(uuid, text);
drop table app.move_changes;
drop table app.moves;
