import { type QueryExecutorProvider, sql } from "kysely";
import type { ErrorFactory } from "./errors.ts";

/**
 * Makes transactions that count before they insert take turns, so that a limit holds for several at
 * once: call it first, then count. Whoever waited sees what those before it have committed (READ
 * COMMITTED). It lasts until the transaction ends, and in a tenant's scope it is the tenant's alone.
 *
 * @param what is counted, such as `webhooks`.
 * @param whose they are, where that is not the tenant of the scope.
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
 * Refuses another row to a tenant that has as many as it may; to be called in the transaction that
 * inserts it.
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
