import type pg from "pg";

/** The tables of one data-plane schema; see `listTablesOf`. */
export const listDataTables = async (
  client: pg.ClientBase,
  schema: string,
): Promise<readonly string[]> => (await listTablesOf(client, [schema])).get(schema) ?? [];

/**
 * The names of the tables in data-plane schemas. Omits partitions, whose rows belong to their
 * table, and the parents that `app.searchable` creates, which have no rows. It reads the
 * dependencies on these schemas, which are indexed; pg_class has no index by schema.
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
