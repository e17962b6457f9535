/**
 * A database that looks before it writes. The first transaction in which something is written begins
 * with a check in that same transaction; what the check has locked stays so until the write is
 * committed, so nothing comes in between. A single statement that writes becomes such a transaction.
 * Reads are not checked.
 */
import type { DatabaseConnection } from "kysely";
import type { TransactionConnection } from "./transaction.ts";

export interface WriteGuard {
  /** Whether the check was passed, in a transaction that was not rolled back. */
  passed: boolean;
  /** @throws what keeps the write from being done */
  readonly check: (connection: DatabaseConnection) => Promise<void>;
}

/** The connection of one transaction, on which the first statement waits for the check. */
export function guardConnection(
  connection: TransactionConnection,
  guard: WriteGuard,
): TransactionConnection {
  // What only reads can't lock.
  let looked = false;
  return {
    ...connection,
    begin(settings) {
      looked = settings.accessMode === "read only";
      connection.begin(settings);
    },
    async executeQuery(query) {
      if (!looked && !guard.passed) {
        looked = true;
        await guard.check(connection);
        guard.passed = true;
      }
      return connection.executeQuery(query);
    },
    rollback() {
      guard.passed = false;
      return connection.rollback();
    },
  };
}
