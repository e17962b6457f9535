import { type Kysely, sql } from "kysely";

/** @throws Error if the database is read-only: a standby, or one whose administrator has said so. */
export async function requireWrites<Tables>(db: Kysely<Tables>): Promise<void> {
  const { rows } = await sql<{ readonly read_only: boolean }>`
    select pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean
      as read_only`.execute(db);
  if (rows[0]?.read_only) throw new Error("the database is read-only");
}
