import type pg from "pg";

/**
 * The names of the tables of a data-plane schema, all of which are tenants'. Left out are partitions, whose
 * rows are their table's, and what `app.searchable` makes: a parent without rows of its own.
 */
export async function listDataTables(
  client: pg.ClientBase,
  schema: string,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select relname as name
     from pg_class c
     where relnamespace = (select oid from pg_namespace where nspname = $1)
       and relkind in ('r', 'p') and not relispartition
       and not exists (
         select from pg_inherits
         join pg_class child on child.oid = inhrelid
         where inhparent = c.oid and c.relname = child.relname || '_search')
     order by relname`,
    [schema],
  );
  return rows.map(({ name }) => name);
}
