-- A schema of the data plane is used by one role, which uses no other. Row-Level Security shows no
-- tenant another's rows; this refuses the very name of another tenant's schema, and of the pool's to
-- a tenant that has a schema of its own.

-- The role that may use a data-plane schema of this database (in TypeScript: `schemaRole`). A
-- tenant's schema has a role of its own; its name is a hash, because roles are the whole server's and
-- a schema's name is one database's. The pool is the app's, and in a tenant's own database, where the
-- app can't connect, the tables are the only login's.
create function app.schema_user(schema_name text) returns name
language sql stable set search_path = pg_catalog as $$
  select case
    when schema_name <> 'data' then
      's_' || left(encode(sha256(
        convert_to(current_database() || '/' || schema_name, 'UTF8')), 'hex'), 32)
    when exists (
      select from pg_database
      cross join aclexplode(datacl) acl
      where datname = current_database()
        and acl.privilege_type = 'CONNECT' and acl.grantee = to_regrole('insulae_app')
    ) then 'insulae_app'
    else 'insulae_data'
  end::name
$$;

-- Lets that role use the schema, and nobody else. The role is there.
create function app.restrict_schema(schema_name text) returns void
language plpgsql set search_path = pg_catalog as $$
declare
  allowed name := app.schema_user(schema_name);
  is_allowed boolean := false;
  part record;
begin
  for part in
    select acl.grantee, pg_get_userbyid(acl.grantee) as name, acl.privilege_type
    from pg_namespace n
    cross join aclexplode(n.nspacl) acl
    where n.nspname = schema_name and acl.grantee <> n.nspowner
  loop
    if part.name = allowed and part.privilege_type = 'USAGE' then
      is_allowed := true;
    else
      execute format('revoke %s on schema %I from %s', part.privilege_type, schema_name,
        case part.grantee when 0 then 'public' else quote_ident(part.name) end);
    end if;
  end loop;
  if not is_allowed then
    execute format('grant usage on schema %I to %I', schema_name, allowed);
  end if;
end $$;

revoke execute on function app.schema_user, app.restrict_schema from public;

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

-- What is wrong with the roles that the server connects as, seen from the current database.
create or replace function app.role_problems() returns table (object text, problem text)
language sql stable set search_path = pg_catalog as $$
  with
    expected (name) as (
      values ('insulae_owner'), ('insulae_data'), ('insulae_app'), ('insulae_control')
    ),
    -- The members of insulae_data are insulae_app, a login for each tenant database, and a role for
    -- each schema. (The administrator that made the group is its member too, with the admin option.)
    roles as (
      select r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreatedb, r.rolcreaterole,
        r.rolreplication, r.rolcanlogin
      from pg_roles r
      where r.rolname in (select name from expected) or r.rolname = 'insulae_schemas'
        or exists (
          select from pg_auth_members m
          where m.member = r.oid and m.roleid = to_regrole('insulae_data') and not m.admin_option)
    ),
    schema_roles as (
      select r.oid, r.rolname
      from roles r
      join pg_auth_members m on m.member = r.oid and m.roleid = to_regrole('insulae_data')
      where not r.rolcanlogin and r.rolname <> 'insulae_schemas'
    ),
    logins as (
      select * from roles where rolname <> 'insulae_owner'
    ),
    -- What is granted to them, or to everybody, on this database and its schemas. They have
    -- rights of no group but insulae_data, or that is reported, so this is all they have. Read from
    -- the lists rather than asked of each of a thousand logins for each of a thousand schemas.
    privileges as (
      select a.kind, a.name, acl.privilege_type as privilege,
        coalesce(l.rolname::text, 'everybody') as grantee
      from (
        select 'database', datname, coalesce(datacl, acldefault('d', datdba))
        from pg_database where datname = current_database()
        union all
        select 'schema', nspname, nspacl from pg_namespace
      ) as a (kind, name, list)
      cross join aclexplode(a.list) acl
      left join logins l on l.oid = acl.grantee
      where acl.grantee = 0 or l.oid is not null
    )

  select format('role %I', name), 'does not exist'
  from expected where to_regrole(name) is null
  union all
  select format('role %I', rolname), format('is %s', attribute)
  from roles
  cross join lateral (values
    (rolsuper, 'a superuser'),
    (rolbypassrls, 'exempt from Row-Level Security (BYPASSRLS)'),
    (rolcreatedb, 'allowed to create databases'),
    (rolcreaterole, 'allowed to create roles'),
    (rolreplication, 'allowed to replicate')
  ) as held (yes, attribute)
  where yes
  union all
  select format('role %I', r.rolname), format('is a member of %I', pg_get_userbyid(m.roleid))
  from roles r
  join pg_auth_members m on m.member = r.oid
  where not case pg_get_userbyid(m.roleid)
    when 'insulae_data' then
      r.rolname not in ('insulae_owner', 'insulae_control', 'insulae_schemas')
    when 'insulae_schemas' then r.rolname = 'insulae_app'
    else r.rolname = 'insulae_schemas' and m.roleid in (select oid from schema_roles)
  end
  union all
  -- It may take a schema's role on, in a statement's scope, and has no right of it otherwise.
  select format('role %I', a.rolname), format('has the rights of %I without taking it on', s.rolname)
  from roles a
  cross join schema_roles s
  where a.rolname = 'insulae_app' and not a.rolsuper and pg_has_role(a.oid, s.oid, 'usage')
  union all
  select format('role %I', r.rolname), format('owns %s objects', count(*))
  from logins r
  join pg_shdepend d on d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
  where d.deptype = 'o'
  group by r.rolname
  union all
  select format('%s %I', kind, name), format('lets %s create objects', grantee)
  from privileges where privilege in ('CREATE', 'TEMPORARY')
  union all
  select format('database %I', name), format('lets %s connect', grantee)
  from privileges
  where kind = 'database' and privilege = 'CONNECT'
    and grantee not in ('insulae_app', 'insulae_control', name)
  union all
  select format('schema %I', name), format('can be used by %s', grantee)
  from privileges
  where kind = 'schema' and privilege = 'USAGE'
    and case name
      when 'control' then grantee <> 'insulae_control'
      when 'app' then grantee = 'everybody'
      else grantee = 'insulae_control'
    end
$$;

-- down
-- What is wrong with the tables of a data-plane schema.
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
    and not (acl.privilege_type = 'USAGE' and (
      pg_get_userbyid(acl.grantee) = 'insulae_data'
      or n.nspname = 'app' and pg_get_userbyid(acl.grantee) = 'insulae_control'))
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

-- What is wrong with the roles that the server connects as, seen from the current database.
create or replace function app.role_problems() returns table (object text, problem text)
language sql stable set search_path = pg_catalog as $$
  with
    expected (name) as (
      values ('insulae_owner'), ('insulae_data'), ('insulae_app'), ('insulae_control')
    ),
    -- The group's members are insulae_app and a login for each tenant database. (The administrator
    -- that made the group is its member too, with the admin option.)
    roles as (
      select r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreatedb, r.rolcreaterole,
        r.rolreplication
      from pg_roles r
      where r.rolname in (select name from expected)
        or exists (
          select from pg_auth_members m
          where m.member = r.oid and m.roleid = to_regrole('insulae_data') and not m.admin_option)
    ),
    logins as (
      select * from roles where rolname <> 'insulae_owner'
    ),
    -- What is granted to them, or to everybody, on this database and its schemas. They are members of
    -- nothing but insulae_data, or that is reported, so this is all they have. Read from the lists
    -- rather than asked of each of a thousand logins for each of a thousand schemas.
    privileges as (
      select a.kind, a.name, acl.privilege_type as privilege,
        coalesce(l.rolname::text, 'everybody') as grantee
      from (
        select 'database', datname, coalesce(datacl, acldefault('d', datdba))
        from pg_database where datname = current_database()
        union all
        select 'schema', nspname, nspacl from pg_namespace
      ) as a (kind, name, list)
      cross join aclexplode(a.list) acl
      left join logins l on l.oid = acl.grantee
      where acl.grantee = 0 or l.oid is not null
    )

  select format('role %I', name), 'does not exist'
  from expected where to_regrole(name) is null
  union all
  select format('role %I', rolname), format('is %s', attribute)
  from roles
  cross join lateral (values
    (rolsuper, 'a superuser'),
    (rolbypassrls, 'exempt from Row-Level Security (BYPASSRLS)'),
    (rolcreatedb, 'allowed to create databases'),
    (rolcreaterole, 'allowed to create roles'),
    (rolreplication, 'allowed to replicate')
  ) as held (yes, attribute)
  where yes
  union all
  select format('role %I', r.rolname), format('is a member of %I', pg_get_userbyid(m.roleid))
  from roles r
  join pg_auth_members m on m.member = r.oid
  where not (pg_get_userbyid(m.roleid) = 'insulae_data'
    and r.rolname not in ('insulae_owner', 'insulae_control'))
  union all
  select format('role %I', r.rolname), format('owns %s objects', count(*))
  from logins r
  join pg_shdepend d on d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
  where d.deptype = 'o'
  group by r.rolname
  union all
  select format('%s %I', kind, name), format('lets %s create objects', grantee)
  from privileges where privilege in ('CREATE', 'TEMPORARY')
  union all
  select format('database %I', name), format('lets %s connect', grantee)
  from privileges
  where kind = 'database' and privilege = 'CONNECT'
    and grantee not in ('insulae_app', 'insulae_control', name)
  union all
  select format('schema %I', name), format('can be used by %s', grantee)
  from privileges
  where kind = 'schema' and privilege = 'USAGE'
    and case name
      when 'control' then grantee <> 'insulae_control'
      when 'app' then grantee = 'everybody'
      else grantee = 'insulae_control'
    end
$$;

drop function app.restrict_schema;
drop function app.schema_user;
