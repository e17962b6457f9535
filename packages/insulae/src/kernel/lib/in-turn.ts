import { type QueryExecutorProvider, sql } from "kysely";
import type { ErrorFactory } from "./errors.ts";

/**
 * Serialises transactions that count rows before they insert, so that a limit holds under
 * concurrency. Call it first, then count. A transaction that waited sees what those before it
 * committed (READ COMMITTED). The lock lasts until the transaction ends; in a tenant's scope it is
 * that tenant's alone.
 *
 * @param what what is counted, such as `webhooks`
 * @param whose the owner, if that is not the scope's tenant
 * @example
 * await inTurn(tx, "api_keys", user.id);
 * if ((await countApiKeysOf(tx, user.id)) >= 50) throw tooManyApiKeys();
 */
export const inTurn = (tx: QueryExecutorProvider, what: string, whose = "") =>
  sql`
    select pg_advisory_xact_lock(hashtextextended(
      concat_ws(' ', ${what}::text, ${whose}::text, current_setting('app.current_tenant_id', true)), 0
    ))`.execute(tx);

/**
 * Refuses another row to a tenant that has reached a limit. Call it in the transaction that
 * inserts.
 *
 * @throws error
 * @example
 * await refuseBeyond(tx, "webhooks", 20, tooManyWebhooks);
 */
export async function refuseBeyond(
  tx: QueryExecutorProvider,
  table: string,
  max: number,
  error: ErrorFactory,
): Promise<void> {
  await inTurn(tx, table);
  const { rows } = await sql<{ full: boolean }>`
    select count(*) >= ${max} as full from ${sql.table(table)}`.execute(tx);
  if (rows[0]?.full) throw error();
}
