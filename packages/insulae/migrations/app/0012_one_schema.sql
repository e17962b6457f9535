-- What is done for one schema reads nothing of the others. PostgreSQL has no index for the relations of a
-- schema, nor for the foreign keys that point at a table, so it read pg_class (43,000 rows at 266 schemas) and
-- pg_constraint whole, the latter again for each table of a new schema. pg_depend has an index by what is
-- depended on, and all of them are in it. The settings keep the planner, whose statistics of the catalogues are
-- behind after each new schema, from reading one whole. JIT compilation took 2.8 s of 2.9.

-- What is wrong with the tables of a data-plane schema, and with who may use it.
create or replace function app.isolation_problems(schema_name text) returns table (object text, problem text)
language sql stable
set search_path = pg_catalog
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
  with
    -- What depends on the schema. (A composite type is there as a type, an index with its table.)
    relations as (
      select c.*, format('%I.%I', schema_name, c.relname) as label
      from pg_namespace n
      join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
      left join pg_type y on y.oid = d.objid and d.classid = 'pg_type'::regclass
      join pg_class c on c.oid = case d.classid
        when 'pg_class'::regclass then d.objid
        else y.typrelid
      end
      where n.nspname = schema_name
        and d.classid in ('pg_class'::regclass, 'pg_type'::regclass)
    ),
    tables as (
      select r.oid, r.label, r.relrowsecurity, r.relforcerowsecurity,
        a.attnum as tenant_column, a.atttypid, a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid) as default_value
      from relations r
      left join pg_attribute a
        on a.attrelid = r.oid and a.attname = 'tenant_id' and not a.attisdropped
      left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
      where r.relkind in ('r', 'p')
    ),
    policies as (
      select t.label, t.oid, p.polname,
        p.polcmd = '*' and p.polroles = '{0}'
          and pg_get_expr(p.polqual, t.oid) = '(tenant_id = app.current_tenant_id())'
          and pg_get_expr(p.polwithcheck, t.oid) = '(tenant_id = app.current_tenant_id())'
          as isolates
      from tables t
      join pg_policy p on p.polrelid = t.oid and p.polpermissive
    ),
    indexes as (
      select t.oid, t.label, i.indexrelid::regclass as name, i.indisunique,
        i.indisvalid, i.indpred, i.indkey[0] = t.tenant_column as leads
      from tables t
      join pg_index i on i.indrelid = t.oid
      where t.tenant_column is not null
    ),
    grants as (
      select r.label, r.relkind, acl.grantee, acl.privilege_type
      from relations r
      cross join aclexplode(r.relacl) acl
      where acl.grantee <> r.relowner
      union all
      select r.label || '.' || a.attname, r.relkind, acl.grantee, acl.privilege_type
      from relations r
      join pg_attribute a on a.attrelid = r.oid
      cross join aclexplode(a.attacl) acl
      where acl.grantee <> r.relowner
    )

  select label, 'has Row-Level Security switched off'
  from tables where not relrowsecurity
  union all
  select label, 'does not force Row-Level Security on its owner'
  from tables where not relforcerowsecurity
  union all
  select label, 'has no column tenant_id (use app.tenant_table)'
  from tables where tenant_column is null
  union all
  select label, 'has a tenant_id that is not "uuid not null default app.current_tenant_id()"'
  from tables
  where tenant_column is not null
    and not (atttypid = 'uuid'::regtype and attnotnull
      and default_value is not distinct from 'app.current_tenant_id()')
  union all
  select label, 'has no policy on tenant_id with both USING and WITH CHECK'
  from tables t
  where not exists (select from policies p where p.oid = t.oid and p.isolates)
  union all
  select label, format('has the permissive policy %I, which lets more rows through', polname)
  from policies where isolates is not true
  union all
  select label, 'has no index that leads with tenant_id'
  from tables t
  where not exists (
    select from indexes i where i.oid = t.oid and i.leads and i.indisvalid and i.indpred is null)
  union all
  select label, format('has the unique index %s, which does not lead with tenant_id', name)
  from indexes where indisunique and not leads
  union all
  select t.label, format('has the exclusion constraint %I, which ignores tenant_id', c.conname)
  from tables t
  join pg_constraint c on c.conrelid = t.oid and c.contype = 'x'
  where t.tenant_column is null or not t.tenant_column = any (c.conkey)
  union all
  select distinct t.label, format('has the foreign key %I, which can leave the tenant', c.conname)
  from tables t
  -- It depends on the columns of both its tables.
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
    and d.classid = 'pg_constraint'::regclass
  join pg_constraint c on c.oid = d.objid and c.contype = 'f'
  where not exists (
      select from unnest(c.conkey, c.confkey) as pair (referencing, referenced)
      join pg_attribute a on a.attrelid = c.conrelid and a.attnum = pair.referencing
      join pg_attribute b on b.attrelid = c.confrelid and b.attnum = pair.referenced
      where a.attname = 'tenant_id' and b.attname = 'tenant_id')
    or (select relnamespace from pg_class where oid = c.conrelid)
      <> (select relnamespace from pg_class where oid = c.confrelid)
  union all
  select label, 'is a view that is not security_invoker'
  from relations r
  where relkind = 'v' and not exists (
    select from pg_options_to_table(r.reloptions)
    where option_name = 'security_invoker' and option_value::boolean)
  union all
  select label, 'is a materialized view or a foreign table, on which there is no Row-Level Security'
  from relations where relkind in ('m', 'f')
  union all
  select label, format('is owned by %I', pg_get_userbyid(relowner))
  from relations
  where pg_get_userbyid(relowner) <> 'insulae_owner' and relkind not in ('i', 'I')
  union all
  select label, format('grants %s to %s', privilege_type,
    case grantee when 0 then 'everybody' else pg_get_userbyid(grantee)::text end)
  from grants
  where not (pg_get_userbyid(grantee) = 'insulae_data'
    and privilege_type = any (case relkind
      when 'S' then '{USAGE}'::text[]
      when 'v' then '{SELECT,INSERT,UPDATE,DELETE}'
      else '{SELECT,INSERT,UPDATE,DELETE}' end))
  union all
  select format('schema %I', n.nspname), format('grants %s to %s', acl.privilege_type,
    case acl.grantee when 0 then 'everybody' else pg_get_userbyid(acl.grantee)::text end)
  from pg_namespace n
  cross join aclexplode(n.nspacl) acl
  where n.nspname in (schema_name, 'app')
    and acl.grantee <> n.nspowner
    and not (acl.privilege_type = 'USAGE' and case n.nspname
      when 'app' then pg_get_userbyid(acl.grantee) in ('insulae_data', 'insulae_control')
      else pg_get_userbyid(acl.grantee) = app.schema_user(n.nspname)
    end)
  union all
  select format('schema %I', n.nspname), format('cannot be used by %I', app.schema_user(n.nspname))
  from pg_namespace n
  where n.nspname = schema_name
    and not exists (
      select from aclexplode(n.nspacl) acl
      where acl.privilege_type = 'USAGE'
        and pg_get_userbyid(acl.grantee) = app.schema_user(n.nspname))
  union all
  select p.oid::regprocedure::text,
    'is SECURITY DEFINER and not in app.definer_functions, or its search_path is not pinned'
  from pg_proc p
  where p.prosecdef
    and p.pronamespace in (select oid from pg_namespace where nspname in (schema_name, 'app'))
    and not (
      exists (
        select from app.definer_functions d where to_regprocedure(d.signature) = p.oid)
      and exists (
        select from unnest(p.proconfig) setting where setting like 'search_path=%'))
$$;

-- As in 0002_tenant_tables, by other indexes.
create or replace function app.tenant_table(
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

  -- A foreign key depends on the columns of both its tables; confrelid has no index.
  for part in
    select distinct conname
    from pg_depend d
    join pg_constraint c on c.oid = d.objid
    where d.refclassid = 'pg_class'::regclass and d.refobjid = target
      and d.classid = 'pg_constraint'::regclass
      and c.contype = 'f' and c.conparentid = 0
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
      and not exists (
        select from pg_constraint
        where conrelid = target and conindid = i.indexrelid and contype in ('p', 'u'))
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

-- What is there of a quota, and by which tables of the schema that `any_table` is in.
create or replace function app.quota_tables(any_table regclass)
returns table (name text, relation regclass, amount text)
language sql stable
set search_path = pg_catalog
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
  select arguments[1], c.oid::regclass,
    case when t.tgnargs = 1 then 'count(*)' else format('coalesce(sum(%I), 0)', arguments[2]) end
  from pg_class given
  join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = given.relnamespace
    and d.classid = 'pg_class'::regclass
  join pg_class c on c.oid = d.objid
  join pg_trigger t on t.tgrelid = c.oid
  cross join string_to_array(encode(t.tgargs, 'escape'), '\000') arguments
  where given.oid = any_table
    and t.tgfoid = 'app.count_towards_quota'::regproc
    and t.tgtype & 4 <> 0
    and arguments[1] not like '%\_per\_day'
$$;

-- down
-- What is wrong with the tables of a data-plane schema, and with who may use it.
create or replace function app.isolation_problems(schema_name text) returns table (object text, problem text)
language sql stable set search_path = pg_catalog as $$
  with
    relations as (
      select c.*, format('%I.%I', schema_name, c.relname) as label
      from pg_class c
      where c.relnamespace = (select oid from pg_namespace where nspname = schema_name)
    ),
    tables as (
      select r.oid, r.label, r.relrowsecurity, r.relforcerowsecurity,
        a.attnum as tenant_column, a.atttypid, a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid) as default_value
      from relations r
      left join pg_attribute a
        on a.attrelid = r.oid and a.attname = 'tenant_id' and not a.attisdropped
      left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
      where r.relkind in ('r', 'p')
    ),
    policies as (
      select t.label, t.oid, p.polname,
        p.polcmd = '*' and p.polroles = '{0}'
          and pg_get_expr(p.polqual, t.oid) = '(tenant_id = app.current_tenant_id())'
          and pg_get_expr(p.polwithcheck, t.oid) = '(tenant_id = app.current_tenant_id())'
          as isolates
      from tables t
      join pg_policy p on p.polrelid = t.oid and p.polpermissive
    ),
    indexes as (
      select t.oid, t.label, i.indexrelid::regclass as name, i.indisunique,
        i.indisvalid, i.indpred, i.indkey[0] = t.tenant_column as leads
      from tables t
      join pg_index i on i.indrelid = t.oid
      where t.tenant_column is not null
    ),
    grants as (
      select r.label, r.relkind, acl.grantee, acl.privilege_type
      from relations r
      cross join aclexplode(r.relacl) acl
      where acl.grantee <> r.relowner
      union all
      select r.label || '.' || a.attname, r.relkind, acl.grantee, acl.privilege_type
      from relations r
      join pg_attribute a on a.attrelid = r.oid
      cross join aclexplode(a.attacl) acl
      where acl.grantee <> r.relowner
    )

  select label, 'has Row-Level Security switched off'
  from tables where not relrowsecurity
  union all
  select label, 'does not force Row-Level Security on its owner'
  from tables where not relforcerowsecurity
  union all
  select label, 'has no column tenant_id (use app.tenant_table)'
  from tables where tenant_column is null
  union all
  select label, 'has a tenant_id that is not "uuid not null default app.current_tenant_id()"'
  from tables
  where tenant_column is not null
    and not (atttypid = 'uuid'::regtype and attnotnull
      and default_value is not distinct from 'app.current_tenant_id()')
  union all
  select label, 'has no policy on tenant_id with both USING and WITH CHECK'
  from tables t
  where not exists (select from policies p where p.oid = t.oid and p.isolates)
  union all
  select label, format('has the permissive policy %I, which lets more rows through', polname)
  from policies where isolates is not true
  union all
  select label, 'has no index that leads with tenant_id'
  from tables t
  where not exists (
    select from indexes i where i.oid = t.oid and i.leads and i.indisvalid and i.indpred is null)
  union all
  select label, format('has the unique index %s, which does not lead with tenant_id', name)
  from indexes where indisunique and not leads
  union all
  select t.label, format('has the exclusion constraint %I, which ignores tenant_id', c.conname)
  from tables t
  join pg_constraint c on c.conrelid = t.oid and c.contype = 'x'
  where t.tenant_column is null or not t.tenant_column = any (c.conkey)
  union all
  select distinct t.label, format('has the foreign key %I, which can leave the tenant', c.conname)
  from tables t
  join pg_constraint c on t.oid in (c.conrelid, c.confrelid) and c.contype = 'f'
  where not exists (
      select from unnest(c.conkey, c.confkey) as pair (referencing, referenced)
      join pg_attribute a on a.attrelid = c.conrelid and a.attnum = pair.referencing
      join pg_attribute b on b.attrelid = c.confrelid and b.attnum = pair.referenced
      where a.attname = 'tenant_id' and b.attname = 'tenant_id')
    or (select relnamespace from pg_class where oid = c.conrelid)
      <> (select relnamespace from pg_class where oid = c.confrelid)
  union all
  select label, 'is a view that is not security_invoker'
  from relations r
  where relkind = 'v' and not exists (
    select from pg_options_to_table(r.reloptions)
    where option_name = 'security_invoker' and option_value::boolean)
  union all
  select label, 'is a materialized view or a foreign table, on which there is no Row-Level Security'
  from relations where relkind in ('m', 'f')
  union all
  select label, format('is owned by %I', pg_get_userbyid(relowner))
  from relations
  where pg_get_userbyid(relowner) <> 'insulae_owner' and relkind not in ('i', 'I')
  union all
  select label, format('grants %s to %s', privilege_type,
    case grantee when 0 then 'everybody' else pg_get_userbyid(grantee)::text end)
  from grants
  where not (pg_get_userbyid(grantee) = 'insulae_data'
    and privilege_type = any (case relkind
      when 'S' then '{USAGE}'::text[]
      when 'v' then '{SELECT,INSERT,UPDATE,DELETE}'
      else '{SELECT,INSERT,UPDATE,DELETE}' end))
  union all
  select format('schema %I', n.nspname), format('grants %s to %s', acl.privilege_type,
    case acl.grantee when 0 then 'everybody' else pg_get_userbyid(acl.grantee)::text end)
  from pg_namespace n
  cross join aclexplode(n.nspacl) acl
  where n.nspname in (schema_name, 'app')
    and acl.grantee <> n.nspowner
    and not (acl.privilege_type = 'USAGE' and case n.nspname
      when 'app' then pg_get_userbyid(acl.grantee) in ('insulae_data', 'insulae_control')
      else pg_get_userbyid(acl.grantee) = app.schema_user(n.nspname)
    end)
  union all
  select format('schema %I', n.nspname), format('cannot be used by %I', app.schema_user(n.nspname))
  from pg_namespace n
  where n.nspname = schema_name
    and not exists (
      select from aclexplode(n.nspacl) acl
      where acl.privilege_type = 'USAGE'
        and pg_get_userbyid(acl.grantee) = app.schema_user(n.nspname))
  union all
  select p.oid::regprocedure::text,
    'is SECURITY DEFINER and not in app.definer_functions, or its search_path is not pinned'
  from pg_proc p
  where p.prosecdef
    and p.pronamespace in (select oid from pg_namespace where nspname in (schema_name, 'app'))
    and not (
      exists (
        select from app.definer_functions d where to_regprocedure(d.signature) = p.oid)
      and exists (
        select from unnest(p.proconfig) setting where setting like 'search_path=%'))
$$;

create or replace function app.tenant_table(
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

-- What is there of a quota, and by which tables of the schema that `any_table` is in.
create or replace function app.quota_tables(any_table regclass)
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
