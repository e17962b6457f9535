/**
 * What a command says and how it ends when it fails. Errors are told apart by their names, so that
 * this file loads none of the modules that throw them.
 */
import { resolve } from "node:path";

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** It goes away by itself: the database can't be reached, or is busy. */
  tryAgain: 3,
  /** A question has to be answered, and nobody is there to be asked. */
  inputNeeded: 4,
  /** It could be done, and won't: not confirmed, or not safe. */
  refused: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface Failure {
  readonly code: string;
  /** What is wrong, and what to do about it; may have several lines. */
  readonly message: string;
  readonly exitCode: ExitCode;
}

/** A failure in words for whoever typed the command. */
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
        `${error.message}\nNothing is served until that is set right.`,
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
  "Nothing is served until that is set right: see `insulae doctor`, and undo what was changed by hand.";

/** An error that HTTP clients may see; here, what caused it may be seen too. */
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
      `The database cannot be reached (${first.message}). Is it running, and is its URL right?`,
      exitCodes.tryAgain,
    );
  }
  if (lostConnection.test(first.message)) return connectionLost(first);
  if (code !== undefined && "path" in first && /^E[A-Z]+$/.test(code)) {
    const dataDir = resolve(process.env.DATA_DIR ?? ".insulae");
    if (!String(first.path).startsWith(dataDir)) return failed("file", `${first.message}.`);
    const message = `${first.message}. Set DATA_DIR to a folder that you may write in.`;
    return failed("data_folder", message);
  }
  return failed("unexpected", first.message || first.name);
}

const unreachable = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ENOENT", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"],
  ...["ENOTFOUND", "EAI_AGAIN", "EPIPE"],
]);

/** Without an address: a connection that was open. What `pg` says has no code. */
const lostConnection = /^(write|read) (EPIPE|ECONNRESET)$|^Connection terminated|is not queryable$/;

const connectionLost = ({ message }: Error): Failure =>
  failed(
    "database_connection_lost",
    `The connection to the database was lost (${message}): it was stopped, or has ended. Try again.`,
    exitCodes.tryAgain,
  );

/** `localhost` is two addresses, and the error of both has no message of its own. */
const firstOf = (error: Error): Error =>
  error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;

const codeOf = (error: Error): string | undefined =>
  "code" in error && typeof error.code === "string" ? error.code : undefined;

/** One of PostgreSQL's: its code is a SQLSTATE. */
const isDatabaseError = (error: Error): boolean =>
  "severity" in error && /^[0-9A-Z]{5}$/.test(codeOf(error) ?? "");

/** The passwords of the roles that we made come from the master secret. */
const loginAdvice = (message: string): string =>
  /"(insulae_(app|control)|t_[0-9a-f]{32})"/.test(message)
    ? "MASTER_SECRET is not the one that the database was set up with."
    : "Check user and password in its URL.";

function explainDatabaseError(error: Error): Failure | undefined {
  switch (codeOf(error)) {
    case "28P01":
    case "28000":
      return failed(
        "database_login_refused",
        `The database refused the login (${error.message}). ${loginAdvice(error.message)}`,
      );
    case "3D000":
      return failed("database_missing", `${error.message}. \`insulae migrate up\` makes it.`);
    case "53300":
      return failed(
        "database_full",
        `The database has no connection to spare (${error.message}). Lower DB_CONNECTIONS, or raise max_connections.`,
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
