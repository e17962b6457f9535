import { DatabaseError } from "pg";
import { AppError, defineError } from "../lib/errors.ts";
import { rulesOf } from "./sql-rules.ts";

/** All connections are in use, and none came free in time. */
export const databaseBusy = defineError(
  "database_busy",
  503,
  "The database is busy. Retry in a moment.",
);

/** PostgreSQL cannot be reached, is starting up, or has no connection to spare. */
export const databaseUnavailable = defineError(
  "database_unavailable",
  503,
  "The database cannot be reached. Retry in a moment.",
);

export const statementTimeout = defineError(
  "statement_timeout",
  503,
  "The database took too long to answer. Retry later, or ask for less at once.",
);

/** The connection was lost between a write and its answer: it may or may not have taken effect. */
export const writeOutcomeUnknown = defineError(
  "write_outcome_unknown",
  503,
  "The connection to the database was lost before the outcome of the write was known. Check whether the change was made before you repeat it.",
);

/** The detail of an error that goes away by itself: try again in a second. */
export const retryLater = (cause?: unknown) => ({ headers: { "Retry-After": "1" }, cause });

/** The fence's refusal at the place that a tenant was moved from; it was not executed. */
export const tenantMoved = defineError(
  "tenant_moved",
  503,
  "The tenant has just been moved to another place. Retry now.",
);
const fenceClosed = "MV001";

export const isTenantMoved = (error: unknown): boolean =>
  error instanceof AppError && error.code === "tenant_moved";

/** What a statement gets whose connection has gone; never shown to a client. */
export class ConnectionLost extends Error {
  /** Whether the statement was written to the socket: if not, it cannot have had any effect. */
  readonly sent: boolean;

  constructor(sent: boolean, cause: unknown) {
    super("the connection to the database was lost", { cause });
    this.name = "ConnectionLost";
    this.sent = sent;
  }
}

/** The server has said nothing for longer than it may work on a statement; the cause of a lost connection. */
export class NoAnswer extends Error {
  constructor(milliseconds: number) {
    super(`a statement had no answer within ${milliseconds / 1000} s`);
    this.name = "NoAnswer";
  }
}

/** A statement that has no place on a connection that is shared, or that leaves a trace on it. */
export class StatementRefused extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "StatementRefused";
  }
}

export const isDatabaseError = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError;

const foreignKeyViolation = "23503";

interface ForeignKeyError extends DatabaseError {
  byDeletion?: boolean;
}

/**
 * Notes in a violated foreign key's error whether the statement took away what others refer to, or
 * referred to what isn't there. PostgreSQL has one SQLSTATE for both, and says which only in words,
 * in the server's language; the statement's own words say it too. (An update counts as the second:
 * keys don't change.)
 */
export function noteDeletion(error: DatabaseError, text: string): void {
  if (error.code === foreignKeyViolation) {
    (error as ForeignKeyError).byDeletion = rulesOf(text).deletes;
  }
}

/** Whether a violated foreign key is one that a deletion violated. */
export const isByDeletion = (error: unknown): boolean =>
  isDatabaseError(error) && (error as ForeignKeyError).byDeletion === true;

/** After these the server has ended the session; what was in flight has no answer. */
export const endsSession = (error: DatabaseError): boolean =>
  error.severity === "FATAL" || error.severity === "PANIC";

/** A migration has changed what a prepared statement returns. Nothing was executed. */
export const isOutdated = (error: DatabaseError): boolean =>
  error.code === "0A000" && error.routine === "RevalidateCachedQuery";

/**
 * A prepared statement is outdated, or unknown to its connection (its Parse failed in an earlier batch).
 * Nothing was executed; prepared anew, it will run.
 */
export const isStalePlan = (error: DatabaseError): boolean =>
  error.code === "26000" || isOutdated(error);

/**
 * Whether a failed attempt to connect shows that the server is there: it has refused. Not if it said that
 * it is starting or stopping, or a pooler said for it that it can't be reached.
 */
export const isAnswer = (error: unknown): boolean =>
  isDatabaseError(error) && !/^(08...|57P0[123])$/.test(error.code ?? "");

/** Why a connection could not be made: worth another try in a moment? */
export function isPassing(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" && passing.has(code);
}

const passing = new Set([
  "ECONNREFUSED", // not listening (yet)
  "ECONNRESET",
  "ENOENT", // no such unix socket (yet)
  "EPIPE",
  "53300", // too_many_connections
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now: starting up, or in recovery
]);

/**
 * Whether the database takes no writes for now, whoever asks: it is read-only (a standby, after a failover;
 * read_only_sql_transaction), or its disk is full (disk_full).
 */
export const takesNoWrites = (code: string | undefined): boolean =>
  code === "25006" || code === "53100";

/** An error of the server as callers are to see it. */
export function translate(error: unknown): Error | AppError {
  if (isDatabaseError(error)) {
    // query_canceled by statement_timeout; lock_not_available by lock_timeout or `nowait`.
    if (error.code === "57014" || error.code === "55P03")
      return statementTimeout(retryLater(error));
    if (error.code === fenceClosed) return tenantMoved(retryLater(error));
    if (endsSession(error) || takesNoWrites(error.code))
      return databaseUnavailable(retryLater(error));
    // In a transaction: it is rolled back, and the next one prepares the statement anew.
    if (isOutdated(error)) {
      return databaseUnavailable({
        ...retryLater(error),
        detail: "The database has just been migrated. Retry.",
      });
    }
  }
  return error instanceof Error ? error : new Error(String(error));
}
