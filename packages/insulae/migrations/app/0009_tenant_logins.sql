-- What a tenant's login can bring about by itself is that tenant's problem, and keeps nobody else from
-- starting: app.role_problems() leaves it to app.tenant_login_problems().

-- The logins of tenants' own databases, by the mark that they are made with. A login can't mark itself.
create function app.tenant_logins() returns setof pg_roles
language sql stable set search_path = pg_catalog as $$
  select r.*
  from pg_roles r
  join pg_auth_members m on m.member = r.oid
  where m.roleid = to_regrole('insulae_data') and not m.admin_option
    and r.rolcanlogin and shobj_description(r.oid, 'pg_authid') like 'Tenant of %'
$$;

-- What those of the server have that they should not, and could have got by themselves: objects of
-- their own, in whatever database lets them in, and members (PostgreSQL 15 lets a login grant itself).
create function app.tenant_login_problems() returns table (login name, problem text)
language sql stable set search_path = pg_catalog as $$
  select r.rolname, format('owns %s objects in the database %s', count(*),
    coalesce(quote_ident(b.datname), 'of the whole server'))
  from app.tenant_logins() r
  join pg_shdepend d on d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
  left join pg_database b on b.oid = d.dbid
  where d.deptype = 'o'
  group by r.rolname, b.datname
  union all
  select r.rolname, format('has the member %I', pg_get_userbyid(m.member))
  from app.tenant_logins() r
  join pg_auth_members m on m.roleid = r.oid
  join pg_roles member on member.oid = m.member
  where not member.rolsuper and not member.rolcreaterole
$$;

revoke execute on function app.tenant_logins, app.tenant_login_problems from public;

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
    tenant_logins as (select * from app.tenant_logins()),
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
  where m.roleid not in (select oid from tenant_logins)
    and not case pg_get_userbyid(m.roleid)
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
  -- In a database without tables of ours it endangers nobody; see app.tenant_login_problems().
  select format('role %I', r.rolname), format('owns %s objects', count(*))
  from logins r
  join pg_shdepend d on d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
  where d.deptype = 'o' and r.oid not in (select oid from tenant_logins)
    and d.dbid in (0, (select oid from pg_database where datname = current_database()))
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
      when 'pgboss' then grantee <> 'insulae_control'
      when 'app' then grantee = 'everybody'
      else grantee = 'insulae_control'
    end
$$;

-- down
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
      when 'pgboss' then grantee <> 'insulae_control'
      when 'app' then grantee = 'everybody'
      else grantee = 'insulae_control'
    end
$$;

drop function app.tenant_login_problems;
drop function app.tenant_logins;
