-- A feature's migration is plain SQL about its own columns. These functions make its tables tenants'
-- tables. They work on the current schema: `data`, or a tenant's own.

create function app.table_here(table_name text) returns regclass
language plpgsql stable as $$
declare
  found regclass := to_regclass(format('%I.%I', current_schema(), table_name));
begin
  if found is null then
    raise exception 'there is no table % in the schema %', table_name, current_schema()
      using errcode = 'undefined_table';
  end if;
  return found;
end $$;

-- Gives the table `tenant_id`, keys and indexes that lead with it, Row-Level Security, grants, and
-- the trigger that keeps updated_at, each where it is missing: call it again after later changes.
--
-- `privileges`: what the application may do, of select, insert, update, delete. An audit trail is
-- app.tenant_table('audit_entries', '{select,insert}').
create function app.tenant_table(
  table_name text,
  privileges text[] default '{select,insert,update,delete}'
) returns void
language plpgsql as $$
declare
  target regclass := app.table_here(table_name);
  tenant_column smallint;
  policy name := table_name || '_tenant_isolation';
  part record;
begin
  if not privileges <@ '{select,insert,update,delete}'::text[] then
    raise exception 'privileges may be select, insert, update and delete, not %', privileges
      using errcode = 'invalid_parameter_value';
  end if;

  if not exists (
    select from pg_attribute where attrelid = target and attname = 'tenant_id' and not attisdropped
  ) then
    execute format(
      'alter table %s add column tenant_id uuid not null default app.current_tenant_id()', target);
  end if;
  select attnum into tenant_column
    from pg_attribute where attrelid = target and attname = 'tenant_id';

  for part in
    select conname
    from pg_constraint
    where contype = 'f' and target in (conrelid, confrelid) and conparentid = 0
      and not exists (
        select from unnest(conkey) as referencing (attnum)
        join pg_attribute a on a.attrelid = conrelid and a.attnum = referencing.attnum
        where a.attname = 'tenant_id')
  loop
    raise exception 'the foreign key % can point at another tenant', part.conname
      using hint = 'Declare the column without "references", and use app.tenant_reference().';
  end loop;

  -- Keys and indexes lead with tenant_id: values are unique within a tenant, and a tenant's rows lie
  -- together. Each is made again from its own definition.
  for part in
    select conname, pg_get_constraintdef(oid) as definition
    from pg_constraint
    where conrelid = target and contype in ('p', 'u') and not tenant_column = any (conkey)
  loop
    execute format('alter table %s drop constraint %I, add constraint %I %s',
      target, part.conname, part.conname,
      regexp_replace(part.definition, '\(', '(tenant_id, '));
  end loop;
  for part in
    select i.indexrelid::regclass as name, pg_get_indexdef(i.indexrelid) as definition
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am on pg_am.oid = c.relam
    where i.indrelid = target and pg_am.amname = 'btree' and i.indkey[0] <> tenant_column
      and not exists (select from pg_constraint where conindid = i.indexrelid and contype in ('p', 'u'))
  loop
    execute format('drop index %s', part.name);
    execute regexp_replace(part.definition, ' USING btree \(', ' USING btree (tenant_id, ');
  end loop;

  execute format('alter table %s enable row level security, force row level security', target);
  if not exists (select from pg_policy where polrelid = target and polname = policy) then
    execute format(
      'create policy %I on %s using (tenant_id = app.current_tenant_id()) '
      'with check (tenant_id = app.current_tenant_id())', policy, target);
  end if;

  execute format('revoke all on %s from insulae_data', target);
  execute format('grant %s on %s to insulae_data', array_to_string(privileges, ', '), target);
  for part in
    select objid::regclass as name
    from pg_depend
    join pg_class c on c.oid = objid and c.relkind = 'S'
    where refobjid = target and refclassid = 'pg_class'::regclass and deptype = 'a'
  loop
    execute format('grant usage on sequence %s to insulae_data', part.name);
  end loop;

  if exists (
    select from pg_attribute where attrelid = target and attname = 'updated_at' and not attisdropped
  ) and not exists (
    select from pg_trigger where tgrelid = target and tgfoid = 'app.touch'::regproc
  ) then
    execute format(
      'create trigger %I before update on %s for each row execute function app.touch()',
      table_name || '_touch', target);
  end if;
end $$;

-- A foreign key that stays within the tenant: (tenant_id, column) → (tenant_id, id). For a row of
-- another tenant it says what it says for one that does not exist. `on_delete`: 'no action',
-- 'restrict', 'cascade' or 'set null'. The referencing side gets an index, without which each delete
-- of a referenced row would read the whole table.
create function app.tenant_reference(
  table_name text,
  column_name text,
  referenced_table text,
  on_delete text default 'no action'
) returns void
language plpgsql as $$
declare
  target regclass := app.table_here(table_name);
  referenced regclass := app.table_here(referenced_table);
  key name := table_name || '_' || column_name || '_fkey';
begin
  if on_delete not in ('no action', 'restrict', 'cascade', 'set null') then
    raise exception 'on_delete may be no action, restrict, cascade or set null, not %', on_delete
      using errcode = 'invalid_parameter_value';
  end if;
  if not exists (
    select from pg_constraint where conrelid = target and conname = key and contype = 'f'
  ) then
    -- The rows that are there are checked by a query of the owner's, which sees none of them while
    -- Row-Level Security is forced.
    execute format('alter table %s no force row level security', target);
    execute format('alter table %s no force row level security', referenced);
    execute format(
      'alter table %s add constraint %I foreign key (tenant_id, %I) '
      'references %s (tenant_id, id) on delete %s',
      target, key, column_name, referenced,
      case on_delete when 'set null' then format('set null (%I)', column_name) else on_delete end);
    execute format('alter table %s force row level security', target);
    execute format('alter table %s force row level security', referenced);
  end if;
  if not exists (
    select from pg_index i
    join pg_attribute t on t.attrelid = target and t.attnum = i.indkey[0]
    join pg_attribute c on c.attrelid = target and c.attnum = i.indkey[1]
    where i.indrelid = target and t.attname = 'tenant_id' and c.attname = column_name
      and i.indpred is null
  ) then
    execute format('create index on %s (tenant_id, %I)', target, column_name);
  end if;
end $$;

-- Changes the rows of all tenants in a migration, which runs as the owner and, like everybody, sees
-- no tenant's rows: app.backfill('contacts', $sql$update contacts set city = ''$sql$). Nobody else
-- waits longer for it than for the migration's other changes: the lock is the migration's.
create function app.backfill(table_name text, statement text) returns bigint
language plpgsql as $$
declare
  target regclass := app.table_here(table_name);
  changed bigint;
begin
  execute format('alter table %s no force row level security', target);
  execute statement;
  get diagnostics changed = row_count;
  execute format('alter table %s force row level security', target);
  return changed;
end $$;

revoke execute on function app.table_here, app.tenant_table, app.tenant_reference, app.backfill
  from public;

-- down
drop function app.backfill;
drop function app.tenant_reference;
drop function app.tenant_table;
drop function app.table_here;
