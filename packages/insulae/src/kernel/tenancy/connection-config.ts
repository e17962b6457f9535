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

/** Timeouts that the server enforces on each connection, in milliseconds; 0: none. */
export interface ConnectionSettings {
  readonly statementTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

/** A server's URLs. Their host, port and TLS mode (`sslmode`) apply to every role that connects. */
export interface ServerUrls {
  /** The administrator's URL of PostgreSQL itself. */
  readonly url: string;
  /** The URL of a connection pooler, for work that needs no session: requests and jobs. */
  readonly poolerUrl?: string | undefined;
}

/** @param directUrl if `url` leads to a connection pooler: that of PostgreSQL itself */
export const serverUrls = (url: string, directUrl: string | undefined): ServerUrls =>
  directUrl === undefined ? { url } : { url: directUrl, poolerUrl: url };

/**
 * Both URLs in one string, to be encrypted together: the administrator's, then a space and the
 * pooler's.
 */
export const writeUrls = ({ url, poolerUrl }: ServerUrls): string =>
  poolerUrl === undefined ? url : `${url} ${poolerUrl}`;

export function readUrls(text: string): ServerUrls {
  const [url = "", poolerUrl] = text.split(" ");
  return { url, poolerUrl };
}

export interface ConnectionOptions extends ServerUrls {
  readonly database: string;
  readonly role: DatabaseRole;
  /** The database of the pool and the schemas. All others are tenants' own. */
  readonly mainDatabase: string;
  readonly secrets: Secrets;
  readonly settings: ConnectionSettings;
}

/**
 * The connection parameters for a role. All settings are given at start-up, which makes them the
 * defaults that RESET restores, and no statement is needed on a new connection. A pooler shares
 * connections and accepts no such settings; there they are set on the role (`roleSettings`).
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
 * JIT compilation pays off only for queries of seconds. The planner overestimates the owner's
 * queries on catalogues with many schemas: compiling one took 2.8 s, running it 0.1 s.
 */
const everybodys = { TimeZone: "UTC", jit: "off" };

/** The administrator's connection parameters for any database. */
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

/** The settings of the application's roles and of the control plane's. */
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
 * Forces index scans. Every index leads with tenant_id, but the planner would read a small table
 * sequentially; a plan prepared while a table was nearly empty would stay in use until the next
 * ANALYZE, however large the table becomes.
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
