import {
  ConnectionLost,
  databaseUnavailable,
  isDatabaseError,
  isStalePlan,
  NoAnswer,
  retryLater,
  translate,
  writeOutcomeUnknown,
} from "./errors.ts";
import type { StatementKind } from "./sql-rules.ts";

/** How often a statement is given to a lane at most. */
const maxTries = 3;

/** What becomes of a statement that has failed. */
export type Verdict = { readonly again: StatementKind } | { readonly error: Error };

/**
 * Whether a failed statement is sent again. It is where that can't do anything twice: it was never
 * sent, the server refused it as a whole, or it is a read (which the server was told, so it did not
 * write); a read that was under way when its connection went is sent once more, in case it is what
 * kills connections. A write that was sent and has no answer may have been done: its caller has to
 * know, and nobody else can.
 *
 * @param tries how often it was given to a lane.
 */
export function judge(kind: StatementKind, tries: number, error: Error): Verdict {
  if (error instanceof ConnectionLost) {
    if (!error.sent) return tries < maxTries ? { again: kind } : unavailable(error);
    if (kind === "write") return { error: writeOutcomeUnknown(retryLater(error)) };
    // What has waited for its deadline is not worth a second one.
    const isLate = error.cause instanceof NoAnswer;
    return tries < 2 && !isLate ? { again: "read" } : unavailable(error);
  }
  if (isDatabaseError(error) && tries < maxTries) {
    if (isStalePlan(error)) return { again: kind };
    // read_only_sql_transaction: it looks like a read, and a function in it writes.
    if (error.code === "25006" && kind === "read") return { again: "write" };
  }
  return { error: translate(error) };
}

const unavailable = (cause: Error): Verdict => ({ error: databaseUnavailable(retryLater(cause)) });
