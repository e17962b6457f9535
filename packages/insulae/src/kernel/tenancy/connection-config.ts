import { parseIntoClientConfig } from "pg-connection-string";
import { dataSchema } from "../engine/scope.ts";
import {
  type ConnectionConfig,
  type SessionSettings,
  startUpOptions,
} from "../engine/session-settings.ts";
import type { DatabaseRole } from "../engine/target.ts";
import type { Secrets } from "../lib/secrets.ts";
import { appRole, controlRole } from "../schema/roles.ts";

/** Time limits that the server sets for itself on each connection, in milliseconds; 0 is none. */
export interface ConnectionSettings {
  readonly statementTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

/** Where a server is; host, port and TLS (`sslmode`) of a URL are everybody's who connects by it. */
export interface ServerUrls {
  /** The administrator's, of PostgreSQL itself. */
  readonly url: string;
  /** Of a connection pooler, for what needs no session: requests and jobs. */
  readonly poolerUrl?: string | undefined;
}

/** @param directUrl if `url` leads to a connection pooler: that of PostgreSQL itself */
export const serverUrls = (url: string, directUrl: string | undefined): ServerUrls =>
  directUrl === undefined ? { url } : { url: directUrl, poolerUrl: url };

/** Both in one text, to be sealed: the administrator's, and after a space that of the pooler, if there is one. */
export const writeUrls = ({ url, poolerUrl }: ServerUrls): string =>
  poolerUrl === undefined ? url : `${url} ${poolerUrl}`;

export function readUrls(text: string): ServerUrls {
  const [url = "", poolerUrl] = text.split(" ");
  return { url, poolerUrl };
}

export interface ConnectionOptions extends ServerUrls {
  readonly database: string;
  readonly role: DatabaseRole;
  /** The database in which the pool and the schemas are; others are tenants' own. */
  readonly mainDatabase: string;
  readonly secrets: Secrets;
  readonly settings: ConnectionSettings;
}

/**
 * How to log in. All settings are given at start-up, so they are what RESET goes back to, and no
 * statement is needed to make a new connection ready. A pooler hands connections from one to another,
 * and takes no such settings: there they are the role's (`roleSettings`).
 */
export function connectionConfig(options: ConnectionOptions): ConnectionConfig {
  const { url, poolerUrl, database, role, secrets } = options;
  if (role === "owner") return ownerConfig(url, database);
  const isPooled = poolerUrl !== undefined && role !== "listener";
  const user = loginOf(role, database, options.mainDatabase);
  const settings = roleSettings(options.settings)[role === "app" ? "app" : "control"];
  return {
    ...parseIntoClientConfig(isPooled ? poolerUrl : url),
    database,
    application_name: `insulae ${role}`,
    user,
    password: secrets.rolePassword(user),
    ...(!isPooled && { options: startUpOptions(settings) }),
    expected: { settings, byRole: isPooled, exact: !isPooled },
  };
}

/**
 * JIT compilation pays for queries of seconds. Those of the owner, of catalogues with many schemas, look
 * expensive to the planner: compiling one took 2.8 s, and running it 0.1.
 */
const everybodys = { TimeZone: "UTC", jit: "off" };

/** How the administrator logs in, in whichever database. */
export function ownerConfig(url: string, database?: string): ConnectionConfig {
  const settings = { ...everybodys, search_path: "pg_catalog" };
  return {
    ...parseIntoClientConfig(url),
    ...(database !== undefined && { database }),
    application_name: "insulae owner",
    options: startUpOptions(settings),
    expected: { settings, byRole: false, exact: true },
  };
}

export interface RoleSettings {
  readonly app: SessionSettings;
  readonly control: SessionSettings;
}

/** The settings of those who log in as the application, and for the control plane. */
export function roleSettings(limits: ConnectionSettings): RoleSettings {
  const common = {
    ...everybodys,
    statement_timeout: limits.statementTimeoutMs,
    idle_in_transaction_session_timeout: limits.idleInTransactionTimeoutMs,
    lock_timeout: limits.lockTimeoutMs,
  };
  return { app: { ...appSettings, ...common }, control: { search_path: "control", ...common } };
}

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

function loginOf(role: DatabaseRole, database: string, mainDatabase: string): string {
  if (role !== "app") return controlRole;
  return database === mainDatabase ? appRole : database;
}
