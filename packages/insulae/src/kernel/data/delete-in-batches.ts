import { type QueryExecutorProvider, type RawBuilder, sql } from "kysely";

const batch = 5_000;

/**
 * Deletes the rows that the condition names, however many they are: a batch for each statement, so that none
 * takes longer than a statement may, and what was deleted before an error stays deleted.
 *
 * @param condition one that an index answers; it is asked once for each batch.
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
