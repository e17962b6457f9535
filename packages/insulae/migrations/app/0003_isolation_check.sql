-- The one definition of "isolated". The migrator asks it after each migration, the server when it
-- starts, the tests and `insulae doctor` whenever they like. Both functions read catalogues only,
-- and give no row when all is well.

-- SECURITY DEFINER functions run with their owner's rights; only these may exist.
create table app.definer_functions (
  signature text primary key,
  reason text not null
);

-- What is wrong with the tables of a data-plane schema.
create function app.isolation_problems(schema_name text) returns table (object text, problem text)
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
create function app.role_problems() returns table (object text, problem text)
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

revoke execute on function app.isolation_problems, app.role_problems from public;

-- down
drop function app.role_problems;
drop function app.isolation_problems;
drop table app.definer_functions;
