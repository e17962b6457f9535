import type pg from "pg";

/** The tables of one data-plane schema; see `listTablesOf`. */
export const listDataTables = async (
  client: pg.ClientBase,
  schema: string,
): Promise<readonly string[]> => (await listTablesOf(client, [schema])).get(schema) ?? [];

/**
 * The names of the tables of data-plane schemas, all of which are tenants'. Left out are partitions, whose
 * rows are their table's, and what `app.searchable` makes: a parent without rows of its own. It reads what
 * depends on these schemas, by an index; pg_class has none by schema.
 */
export async function listTablesOf(
  client: pg.ClientBase,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await client.query<{ schema: string; names: string[] }>(
    `select nspname as schema, array_agg(relname::text order by relname) as names
     from unnest($1::text[]) as wanted (name)
     join pg_namespace n on nspname = wanted.name
     join lateral (
       select c.*
       from pg_depend d
       join pg_class c on c.oid = d.objid
       where d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
         and d.classid = 'pg_class'::regclass
     ) c on true
     where relkind in ('r', 'p') and not relispartition
       and not coalesce((
         select bool_or(c.relname = child.relname || '_search')
         from pg_inherits
         join pg_class child on child.oid = inhrelid
         where inhparent = c.oid), false)
     group by nspname`,
    [schemas],
  );
  return new Map(rows.map(({ schema, names }) => [schema, names]));
}
