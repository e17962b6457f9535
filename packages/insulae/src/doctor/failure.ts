/**
 * Turns errors into messages and exit codes. It recognises errors by name, so that it loads none of
 * the modules that throw them.
 */
import { resolve } from "node:path";

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** Temporary: the database can't be reached, or is busy. */
  tryAgain: 3,
  /** A question needs an answer and there is no terminal. */
  inputNeeded: 4,
  /** Possible but refused: not confirmed, or not safe. */
  refused: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface Failure {
  readonly code: string;
  /** The problem and how to fix it; may have several lines. */
  readonly message: string;
  readonly exitCode: ExitCode;
}

/** An error whose message is for the person who typed the command. */
export class CommandError extends Error implements Failure {
  override readonly name = "CommandError";
  readonly code: string;
  readonly exitCode: ExitCode;

  constructor(code: string, message: string, exitCode: ExitCode = exitCodes.failed) {
    super(message);
    this.code = code;
    this.exitCode = exitCode;
  }
}

export function explain(error: unknown): Failure {
  if (!(error instanceof Error)) return failed("unexpected", String(error));
  if (error instanceof CommandError) return error;
  switch (error.name) {
    case "CommanderError":
    case "InvalidArgumentError":
      return failed("usage", error.message.replace(/^error: /, ""), exitCodes.usage);
    case "ConfigError":
      return failed(
        "configuration",
        `${error.message}\nSet it in the environment, or in the file .env of this folder.`,
      );
    case "DeclarationError":
      return failed("not_well_declared", error.message);
    case "ListenError":
      return failed("code" in error ? String(error.code) : "cannot_listen", error.message);
    case "EmbeddedError":
      return failed("embedded_postgres", error.message);
    case "IsolationError":
      return failed("not_isolated", `${error.message}\n${isolationAdvice}`, exitCodes.refused);
    case "TablesDiffer":
      return failed(
        "tables_differ",
        `${error.message}\nThe server does not start until this is fixed.`,
        exitCodes.refused,
      );
    case "MigrationRefused":
      return failed("migration_refused", error.message, exitCodes.refused);
    case "FeaturesMissing":
      return failed("features_missing", error.message, exitCodes.refused);
    case "MigrationsDue":
      return failed("migrations_due", error.message, exitCodes.refused);
    case "NotSetUp":
      return failed("not_set_up", error.message);
    case "ConnectionLost":
      return connectionLost(error.cause instanceof Error ? error.cause : error);
    case "AppError":
      return explainAppError(error);
    default:
      return explainSystemError(error);
  }
}

const failed = (code: string, message: string, exitCode: ExitCode = exitCodes.failed): Failure => ({
  code,
  message,
  exitCode,
});

const isolationAdvice =
  "The server does not start until this is fixed: run `insulae doctor`, and undo manual changes.";

/** An error meant for HTTP clients. Unlike them, the operator may see its cause. */
function explainAppError(error: Error): Failure {
  const { code, status } = error as Error & { readonly code: string; readonly status: number };
  const cause = error.cause instanceof Error ? firstOf(error.cause) : undefined;
  if (cause && isDatabaseError(cause)) {
    const known = explainDatabaseError(cause);
    if (known) return known;
  }
  const message = cause ? `${error.message}: ${cause.message}` : error.message;
  return failed(code, message, status === 503 ? exitCodes.tryAgain : exitCodes.failed);
}

function explainSystemError(error: Error): Failure {
  const first = firstOf(error);
  if (isDatabaseError(first)) {
    const known = explainDatabaseError(first);
    if (known) return known;
  }
  const code = codeOf(first);
  const address = "address" in first || "hostname" in first || first.message.startsWith("connect ");
  if (address && code !== undefined && unreachable.has(code)) {
    return failed(
      "database_unreachable",
      `The database cannot be reached (${first.message}). Check that it is running and that its URL is right.`,
      exitCodes.tryAgain,
    );
  }
  if (lostConnection.test(first.message)) return connectionLost(first);
  if (code !== undefined && "path" in first && /^E[A-Z]+$/.test(code)) {
    const dataDir = resolve(process.env.DATA_DIR ?? ".insulae");
    if (!String(first.path).startsWith(dataDir)) return failed("file", `${first.message}.`);
    const message = `${first.message}. Set DATA_DIR to a folder that you can write to.`;
    return failed("data_folder", message);
  }
  return failed("unexpected", first.message || first.name);
}

const unreachable = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ENOENT", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"],
  ...["ENOTFOUND", "EAI_AGAIN", "EPIPE"],
]);

/** Errors of an open connection, which have no address. Those of `pg` have no code. */
const lostConnection = /^(write|read) (EPIPE|ECONNRESET)$|^Connection terminated|is not queryable$/;

const connectionLost = ({ message }: Error): Failure =>
  failed(
    "database_connection_lost",
    `The connection to the database was lost (${message}). The server was stopped or closed it. Try again.`,
    exitCodes.tryAgain,
  );

/** `localhost` has two addresses; the error for both has no message of its own. */
const firstOf = (error: Error): Error =>
  error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;

const codeOf = (error: Error): string | undefined =>
  "code" in error && typeof error.code === "string" ? error.code : undefined;

/** A PostgreSQL error: its code is a SQLSTATE. */
const isDatabaseError = (error: Error): boolean =>
  "severity" in error && /^[0-9A-Z]{5}$/.test(codeOf(error) ?? "");

/** Passwords of the roles that we create derive from the master secret. */
const loginAdvice = (message: string): string =>
  /"(insulae_(app|control)|t_[0-9a-f]{32})"/.test(message)
    ? "MASTER_SECRET differs from the one that the database was set up with."
    : "Check the user and password in its URL.";

function explainDatabaseError(error: Error): Failure | undefined {
  switch (codeOf(error)) {
    case "28P01":
    case "28000":
      return failed(
        "database_login_refused",
        `The database refused the login (${error.message}). ${loginAdvice(error.message)}`,
      );
    case "3D000":
      return failed(
        "database_missing",
        `${error.message}. Run \`insulae migrate up\` to create it.`,
      );
    case "53300":
      return failed(
        "database_full",
        `The database has no free connections (${error.message}). Lower DB_CONNECTIONS or raise max_connections.`,
        exitCodes.tryAgain,
      );
    case "57P01":
    case "57P02":
    case "57P03":
    case "55P03":
    case "40P01":
      return failed("database_busy", `${error.message}. Try again.`, exitCodes.tryAgain);
    default:
      return undefined;
  }
}
