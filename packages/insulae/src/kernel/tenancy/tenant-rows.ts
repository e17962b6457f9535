/**
 * A tenant's rows in a schema of the data plane. Which tables there are is asked of the database and
 * not of the features: a table that no feature lists, or whose feature is not loaded any more, is
 * erased as well. It is the owner who does it, in the tenant's scope like anybody: the application may
 * not delete an audit log.
 */
import pg from "pg";
import { inTransaction } from "../engine/connect.ts";
import { listDataTables } from "../schema/data-tables.ts";
import { ownerRole } from "../schema/roles.ts";
import type { TenantId } from "./tenant.ts";

/** How far rows are counted. */
export const countedRows = 1_000;

/** The tables of a data-plane schema, quoted and with their schema. */
export const listTables = async (client: pg.ClientBase, schema: string): Promise<string[]> =>
  (await listDataTables(client, schema)).map((table) => qualified(schema, table));

export const qualified = (schema: string, table: string): string =>
  `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;

/** Runs `fn` as the owner, in the tenant's scope. @param client the administrator. */
export const asOwnerOf = <Result>(
  client: pg.ClientBase,
  id: TenantId,
  fn: () => Promise<Result>,
): Promise<Result> =>
  inTransaction(client, async () => {
    await client.query(`set local role ${ownerRole}; set local lock_timeout = 10000`);
    await client.query("select set_config('app.current_tenant_id', $1, true)", [id]);
    return fn();
  });

/** Deletes the tenant's rows from all tables of the schema. */
export async function eraseRows(
  client: pg.ClientBase,
  schema: string,
  id: TenantId,
): Promise<void> {
  const tables = await listTables(client, schema);
  if (tables.length === 0) return;
  // One statement: foreign keys are checked at its end, in whatever order they point.
  const deletions = tables.map((table, index) => `t${index} as (delete from ${table})`);
  await asOwnerOf(client, id, () => client.query(`with ${deletions.join(", ")} select 1`));
}

/** How many rows the tenant has in the schema: exact up to a thousand a table. */
export async function countRows(
  client: pg.ClientBase,
  schema: string,
  id: TenantId,
): Promise<number> {
  const tables = await listTables(client, schema);
  if (tables.length === 0) return 0;
  const counts = tables.map(
    (table) => `(select count(*) from (select from ${table} limit ${countedRows}) counted)`,
  );
  const { rows } = await asOwnerOf(client, id, () =>
    client.query<{ rows: string }>(`select ${counts.join(" + ")} as rows`),
  );
  return Number(rows[0]?.rows ?? 0);
}
