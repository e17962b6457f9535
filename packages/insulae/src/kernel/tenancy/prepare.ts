/**
 * Prepares a server for tenants: creates the roles, the database and the tables, and refuses to
 * continue if tenants would not be isolated. It opens its own connection, because there is no
 * broker yet at boot, and no known server yet when one is added. Safe to run again, and on several
 * nodes at once.
 */
import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { inTransaction, openClient } from "../engine/connect.ts";
import { dataSchema } from "../engine/scope.ts";
import type { Secrets } from "../lib/secrets.ts";
import { checkTables } from "../schema/feature-tables.ts";
import { refuseForeignFeatures } from "../schema/foreign-features.ts";
import { bootCheck, findLoginProblems } from "../schema/isolation-check.ts";
import type { Migrations } from "../schema/migration-files.ts";
import { type MigrateOptions, migrateControlPlane, migratePlacement } from "../schema/migrator.ts";
import {
  appRole,
  controlRole,
  prepareDatabase,
  prepareServer,
  retryConcurrent,
  setRoleSettings,
} from "../schema/roles.ts";
import type { Logger } from "../telemetry/log.ts";
import { ownerConfig, type RoleSettings, type ServerUrls } from "./connection-config.ts";
import { tenantMark } from "./physical.ts";

/** The server in DATABASE_URL. */
export interface MainServer extends ServerUrls {
  readonly id: string;
  readonly database: string;
  /** What was applied to its pool when it was opened; absent if migrating was not asked for. */
  readonly poolApplied?: readonly string[];
}

export interface PrepareOptions extends MigrateOptions {
  /** The administrator's URL of PostgreSQL itself. */
  readonly url: string;
  /** Settings stored on the roles, for connections through a pooler. */
  readonly roleSettings?: RoleSettings | undefined;
  readonly secrets: Secrets;
  readonly migrations: Migrations;
}

export interface BootOptions extends PrepareOptions {
  /** Refuse if the database has features that the application lacks. */
  readonly refuseForeign?: boolean;
}

/**
 * Boot: creates the main database (if missing) and the roles, migrates the control plane and the
 * pool, and verifies the isolation.
 *
 * @throws IsolationError and TablesDiffer, listing all problems; MigrationRefused; FeaturesMissing;
 *   Error if the administrator lacks a privilege
 * @example
 * const main = await bootMainServer({ url: config.databaseUrl, secrets, migrations, log });
 * const servers = createServers({ main, control, secrets, migrations, settings });
 */
export async function bootMainServer(options: BootOptions): Promise<MainServer> {
  const { url, migrations } = options;
  const database = databaseOf(url);
  return withAdministrator(url, database, async (client) => {
    if (options.refuseForeign) await refuseIfSetUp(client, migrations);
    await prepareRoles(client, database, options);
    await prepareDatabase(client, [appRole, controlRole]);
    await migrateControlPlane(client, migrations, options);
    const { applied, version } = await migratePlacement(client, dataSchema, migrations, {
      ...options,
      create: true,
    });
    const id = await inTransaction(client, async () => {
      await client.query("set local role insulae_owner");
      await bootCheck(client);
      await noteFindings(client, migrations, options.log);
      return registerMainServer(client, database, version);
    });
    return { id, url, database, poolApplied: applied };
  });
}

/** Checks before anything is created. */
async function refuseIfSetUp(client: pg.Client, migrations: Migrations): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    "select to_regrole('insulae_owner') is not null and to_regnamespace('app') is not null as there",
  );
  if (!rows[0]?.there) return;
  await inTransaction(client, async () => {
    await client.query("set local role insulae_owner");
    await refuseForeignFeatures(client, migrations);
  });
}

/** The same for an additional server, which has no control plane. */
export async function prepareDataServer(
  options: PrepareOptions & { readonly database: string },
): Promise<void> {
  await withAdministrator(options.url, options.database, async (client) => {
    await prepareRoles(client, options.database, options);
    await prepareDatabase(client, [appRole]);
    await migratePlacement(client, dataSchema, options.migrations, { ...options, create: true });
    await inTransaction(client, async () => {
      await client.query("set local role insulae_owner");
      await bootCheck(client);
      await noteFindings(client, options.migrations, options.log);
    });
  });
}

async function prepareRoles(
  client: pg.Client,
  database: string,
  { secrets, roleSettings }: PrepareOptions,
): Promise<void> {
  await prepareServer(client, secrets);
  if (roleSettings) await setRoleSettings(client, roleSettings, tenantMark(database));
}

/**
 * Compares the tables with the features' lists, and logs findings that don't prevent a start.
 *
 * @param client the owner, in a database with a pool
 * @throws TablesDiffer
 */
export async function noteFindings(
  client: pg.Client,
  migrations: Migrations,
  log: Logger | undefined,
): Promise<void> {
  const tables = await checkTables(client, dataSchema, migrations);
  if (tables.length > 0) {
    log?.warn(
      { tables },
      "There are tables of features that this application does not load: load the features, or drop the tables",
    );
  }
  for (const { login, problem } of await findLoginProblems(client)) {
    log?.warn({ login }, `The login of a tenant's database ${problem}: see insulae doctor`);
  }
}

/** Creates the rows of the main server and its pool. */
async function registerMainServer(
  client: pg.Client,
  database: string,
  version: number,
): Promise<string> {
  await client.query(
    "insert into control.servers (name) values ('main') on conflict (name) do nothing",
  );
  const { rows } = await client.query<{ id: string }>(
    "select id from control.servers where name = 'main'",
  );
  const [server] = rows;
  if (!server) throw new Error("control.servers has no row for the main server");
  await client.query(
    `insert into control.placements as p (server_id, database, schema, isolation, version)
     values ($1, $2, $3, 'pool', $4)
     on conflict (server_id, database, schema) do update
     set version = excluded.version
     where p.version <> excluded.version`,
    [server.id, database, dataSchema, version],
  );
  return server.id;
}

function databaseOf(url: string): string {
  const { database } = parseIntoClientConfig(url);
  if (!database) throw new Error("the connection URL must name a database");
  return database;
}

/** Runs `fn` as the administrator in the database, creating it if it is missing. */
export async function withAdministrator<Result>(
  url: string,
  database: string,
  fn: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await openAdministrator(url, database);
  try {
    return await fn(client);
  } finally {
    await client.end();
  }
}

async function openAdministrator(url: string, database: string): Promise<pg.Client> {
  try {
    return await openClient(ownerConfig(url, database));
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code === "3D000")) throw error;
  }
  // The maintenance database, which every server has.
  const maintenance = await openClient(ownerConfig(url, "postgres"));
  try {
    await retryConcurrent(async () => {
      await maintenance
        .query(
          `create database ${pg.escapeIdentifier(database)} encoding 'UTF8' template template0`,
        )
        .catch(ignoreExisting);
    });
  } finally {
    await maintenance.end();
  }
  return openClient(ownerConfig(url, database));
}

/** Another node created it first. */
function ignoreExisting(error: unknown): void {
  if (error instanceof pg.DatabaseError && error.code === "42P04") return;
  throw error;
}
