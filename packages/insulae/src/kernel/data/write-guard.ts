/**
 * Runs a precondition check in the transaction of the first write. Rows locked by the check stay
 * locked until the write commits, so nothing can come in between. A single writing statement
 * becomes such a transaction. Reads are not checked.
 */
import type { DatabaseConnection } from "kysely";
import type { TransactionConnection } from "./transaction.ts";

export interface WriteGuard {
  /** Whether the check passed in a transaction that was not rolled back. */
  passed: boolean;
  /** @throws to prevent the write */
  readonly check: (connection: DatabaseConnection) => Promise<void>;
}

/** A transaction's connection, on which the first statement waits for the check. */
export function guardConnection(
  connection: TransactionConnection,
  guard: WriteGuard,
): TransactionConnection {
  // A read-only transaction can't lock.
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
