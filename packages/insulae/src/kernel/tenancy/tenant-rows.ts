/**
 * Erases and counts a tenant's rows in a data-plane schema. The list of tables comes from the
 * database, not from the features, so tables that no loaded feature lists are erased too. It runs
 * as the owner, because the application's role may not delete audit logs, in the tenant's scope
 * like every statement.
 */
import pg from "pg";
import { inTransaction } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import { listDataTables } from "../schema/data-tables.ts";
import { ownerRole } from "../schema/roles.ts";

/** The limit of counting. */
export const countedRows = 1_000;

/** The tables of a data-plane schema, as qualified and quoted names. */
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
  // One statement, because foreign keys are checked at its end, whatever their direction.
  const deletions = tables.map((table, index) => `t${index} as (delete from ${table})`);
  await asOwnerOf(client, id, () => client.query(`with ${deletions.join(", ")} select 1`));
}

/** How many rows the tenant has in the schema: exact up to a thousand per table. */
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
