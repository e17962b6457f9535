-- A table that requests may not read isn't noticed by anything until each of them fails. The problems of
-- 0012_one_schema stay as they are, under a name of their own.
alter function app.isolation_problems(text) rename to table_problems;

-- What requests can't use, though it is there for them.
create function app.grant_problems(schema_name text) returns table (object text, problem text)
language sql stable
set search_path = pg_catalog
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
  with tables as (
    select c.oid, format('%I.%I', schema_name, c.relname) as label
    from pg_namespace n
    join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
      and d.classid = 'pg_class'::regclass
    join pg_class c on c.oid = d.objid
    -- A partition is read through its table.
    where n.nspname = schema_name and c.relkind in ('r', 'p') and not c.relispartition
  )
  select label, 'does not grant SELECT to insulae_data, so no request can use it (use app.tenant_table)'
  from tables
  where not has_table_privilege('insulae_data', oid, 'select')
  union all
  select t.label, format('has the sequence %s, which does not grant USAGE to insulae_data, so no request can insert (use app.tenant_table)',
    s.oid::regclass)
  from tables t
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
    and d.classid = 'pg_class'::regclass and d.deptype = 'a'
  join pg_class s on s.oid = d.objid
  where has_table_privilege('insulae_data', t.oid, 'insert')
    -- Of an index, the question is an error.
    and case when s.relkind = 'S' then not has_sequence_privilege('insulae_data', s.oid, 'usage') end
$$;

-- What is wrong with the tables of a data-plane schema, and with who may use it.
create function app.isolation_problems(schema_name text) returns table (object text, problem text)
language sql stable
set search_path = pg_catalog
as $$
  select object, problem from app.table_problems(schema_name)
  union all
  select object, problem from app.grant_problems(schema_name)
$$;

-- down
drop function app.isolation_problems;
drop function app.grant_problems;
alter function app.table_problems(text) rename to isolation_problems;
