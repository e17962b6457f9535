import type pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { appRole, controlRole } from "../database/roles.ts";
import { dataSchema } from "../database/scope.ts";
import type { DatabaseRole } from "../database/target.ts";
import type { Secrets } from "../secrets.ts";

/** Time limits that the server sets for itself on each connection, in milliseconds; 0 is none. */
export interface ConnectionSettings {
  readonly statementTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

export interface ConnectionOptions {
  /** The administrator's URL of the server; its host, port and TLS (`sslmode`) are everybody's. */
  readonly url: string;
  readonly database: string;
  readonly role: DatabaseRole;
  /** The database in which the pool and the schemas are; others are tenants' own. */
  readonly mainDatabase: string;
  readonly secrets: Secrets;
  readonly settings: ConnectionSettings;
}

/**
 * How to log in. All settings are given at start-up, so they are what RESET goes back to, and no
 * statement is needed to make a new connection ready.
 */
export function connectionConfig(options: ConnectionOptions): pg.ClientConfig {
  const { url, database, role, secrets } = options;
  if (role === "owner") return ownerConfig(url, database);
  const user = loginOf(role, database, options.mainDatabase);
  return {
    ...parseIntoClientConfig(url),
    database,
    application_name: `insulae ${role}`,
    user,
    password: secrets.rolePassword(user),
    options: startUp({
      ...common,
      ...(role === "app" ? appSettings : { search_path: "control" }),
      statement_timeout: options.settings.statementTimeoutMs,
      idle_in_transaction_session_timeout: options.settings.idleInTransactionTimeoutMs,
      lock_timeout: options.settings.lockTimeoutMs,
    }),
  };
}

/** How the administrator logs in, in whichever database. */
export const ownerConfig = (url: string, database?: string): pg.ClientConfig => ({
  ...parseIntoClientConfig(url),
  ...(database !== undefined && { database }),
  application_name: "insulae owner",
  options: startUp({ ...common, search_path: "pg_catalog" }),
});

/**
 * JIT compilation pays for queries of seconds. Those of the owner, of catalogues with many schemas, look
 * expensive to the planner: compiling one took 2.8 s, and running it 0.1.
 */
const common = { TimeZone: "UTC", jit: "off" };

/**
 * A tenant's rows are always read through an index, since each leads with tenant_id. The planner would
 * read a small table whole; prepared while a table was (nearly) empty, such a plan stays in use until
 * the next ANALYZE, however the table grows meanwhile.
 */
const appSettings = {
  search_path: dataSchema,
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
};

function loginOf(role: "app" | "control", database: string, mainDatabase: string): string {
  if (role === "control") return controlRole;
  return database === mainDatabase ? appRole : database;
}

const startUp = (settings: Readonly<Record<string, string | number>>): string =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");
