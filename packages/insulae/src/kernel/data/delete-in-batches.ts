import { type QueryExecutorProvider, type RawBuilder, sql } from "kysely";

const batch = 5_000;

/**
 * Deletes all rows that match the condition, in one statement per batch, so that none exceeds the
 * statement timeout. Rows deleted before an error stay deleted.
 *
 * @param condition must be backed by an index, because each batch evaluates it
 * @example await deleteInBatches(control, "control.sessions", sql`expires_at < now()`);
 */
export async function deleteInBatches(
  db: QueryExecutorProvider,
  table: string,
  condition: RawBuilder<unknown>,
): Promise<void> {
  for (;;) {
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(table)}
      where ctid = any (array(
        select ctid from ${sql.table(table)} where ${condition} limit ${batch}
      ))`.execute(db);
    if (numAffectedRows < batch) return;
  }
}
