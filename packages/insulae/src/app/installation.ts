/**
 * An installation: the databases of one configuration, opened and migrated. The server runs on one,
 * as does each CLI command that needs no HTTP.
 */
import type { Kysely } from "kysely";
import type { Config } from "../config/config.ts";
import { startEmbedded } from "../embedded-postgres/supervisor.ts";
import { createControlDatabase } from "../kernel/data/tenant-database.ts";
import { type Broker, createBroker } from "../kernel/engine/broker.ts";
import type { Connect } from "../kernel/engine/connect.ts";
import { measureConnections, watchStatements } from "../kernel/engine/database-metrics.ts";
import { createLanes, type Lanes } from "../kernel/engine/lanes.ts";
import { checkConnections } from "../kernel/engine/pooler.ts";
import type { Feature } from "../kernel/feature/feature.ts";
import { loadMasterSecret } from "../kernel/lib/master-secret.ts";
import { createSecrets, type Secrets } from "../kernel/lib/secrets.ts";
import { connectRedis, type Redis } from "../kernel/redis/redis.ts";
import type { ControlTables } from "../kernel/schema/control-tables.ts";
import type { Migrations } from "../kernel/schema/migration-files.ts";
import { type Logger, moduleLog } from "../kernel/telemetry/log.ts";
import { createMetrics, type MetricsRegistry } from "../kernel/telemetry/metrics.ts";
import { openTracing } from "../kernel/telemetry/open-tracing.ts";
import type { Tracing } from "../kernel/telemetry/tracing.ts";
import {
  type ConnectionSettings,
  connectionConfig,
  roleSettings,
  serverUrls,
} from "../kernel/tenancy/connection-config.ts";
import { findMainServer } from "../kernel/tenancy/main-server.ts";
import { migrateAll } from "../kernel/tenancy/migrate-all.ts";
import { createPlans, type Plans } from "../kernel/tenancy/plans.ts";
import { bootMainServer, type MainServer } from "../kernel/tenancy/prepare.ts";
import { createProvisioning, type Provisioning } from "../kernel/tenancy/provisioning.ts";
import { createServers, type Servers } from "../kernel/tenancy/servers.ts";
import { createDatabaseOf, type DatabaseOf } from "../kernel/tenancy/tenant-database-of.ts";
import { loadDeclared } from "./check-application.ts";
import type { Note } from "./starting.ts";
import { version } from "./version.ts";

export interface Installation {
  readonly config: Config;
  readonly features: readonly Feature[];
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  /** Absent if traces are not collected. */
  readonly tracing: Tracing | undefined;
  readonly main: MainServer;
  readonly migrations: Migrations;
  readonly secrets: Secrets;
  readonly broker: Broker;
  readonly lanes: Lanes;
  readonly connect: Connect;
  readonly control: Kysely<ControlTables>;
  readonly servers: Servers;
  readonly plans: Plans;
  readonly provisioning: Provisioning;
  /** Absent if not configured. */
  readonly redis: Redis | undefined;
  /** A database bound to the tenant. Created for each use, at next to no cost. */
  readonly databaseOf: DatabaseOf;
  /**
   * Closes all connections, and stops the embedded PostgreSQL if this process started it.
   *
   * @param onDatabase called before stopping the embedded PostgreSQL
   */
  close(onDatabase?: () => void): Promise<void>;
}

/** What to do about pending migrations of the main database. */
export type WhenDue = "migrate" | "refuse" | "leave";

export interface OpenOptions {
  /**
   * Default: by `MIGRATE_ON_START`. Except with `migrate`, nothing is changed, and the database
   * must be set up already.
   */
  readonly whenDue?: WhenDue;
  /** The application's retired features. */
  readonly retired?: readonly string[];
  /** Whether to refuse a database with features that are not loaded. Default: when migrating. */
  readonly refuseForeign?: boolean;
  /** Reports steps that may take a while. Default: the log. */
  readonly note?: Note;
}

/**
 * @throws DeclarationError before anything is opened; errors of starting, connecting, migrating or
 * checking the main database; NotSetUp; MigrationsDue; FeaturesMissing
 */
export async function openInstallation(
  config: Config,
  features: readonly Feature[],
  log: Logger,
  options: OpenOptions = {},
): Promise<Installation> {
  const { whenDue = config.migrateOnStart ? "migrate" : "refuse", retired } = options;
  const { refuseForeign = whenDue === "migrate", note = (text) => log.info(text) } = options;
  const secrets = createSecrets(config.masterSecret ?? loadMasterSecret(config.dataDir));
  const migrations = await loadDeclared(features, retired);
  const embedded = config.databaseUrl
    ? undefined
    : await startEmbedded({ dataDir: config.dataDir, log: (message) => log.warn(message), note });
  const urls = serverUrls(config.databaseUrl ?? embedded?.url ?? "", config.databaseDirectUrl);
  const tracing = await openTracing(config.tracing, version, log);
  try {
    const { lockTimeoutMs } = config;
    const settings = connectionSettings(config);
    const { url, poolerUrl } = urls;
    const ofRoles = poolerUrl === undefined ? {} : { roleSettings: roleSettings(settings) };
    const common = { url, migrations, refuseForeign, log };
    const found =
      whenDue === "migrate"
        ? await bootMainServer({ ...common, secrets, lockTimeoutMs, ...ofRoles, note })
        : await findMainServer({ ...common, check: whenDue === "refuse" });
    const main = { ...found, poolerUrl };
    const connection = { ...main, mainDatabase: main.database, secrets, settings };
    await checkConnections(
      (["app", "control"] as const).map((role) => connectionConfig({ ...connection, role })),
    );
    const redis = config.redisUrl
      ? await connectRedis({
          url: config.redisUrl,
          timeoutMs: config.redisTimeoutMs,
          log: moduleLog(log, "redis"),
        })
      : undefined;
    const stop = async (onDatabase?: () => void) => {
      await redis?.close();
      await tracing?.close();
      onDatabase?.();
      await embedded?.stop();
    };
    return { ...wire(config, main, secrets, migrations, stop, log, tracing), redis, features };
  } catch (error) {
    await tracing?.close();
    await embedded?.stop();
    throw error;
  }
}

const connectionSettings = (config: Config): ConnectionSettings => ({
  statementTimeoutMs: config.statementTimeoutMs,
  lockTimeoutMs: config.lockTimeoutMs,
  idleInTransactionTimeoutMs: 30_000,
});

function wire(
  config: Config,
  main: MainServer,
  secrets: Secrets,
  migrations: Migrations,
  stopOthers: (onDatabase?: () => void) => Promise<void>,
  log: Logger,
  tracing: Tracing | undefined,
): Omit<Installation, "features" | "redis"> {
  const metrics = createMetrics();
  // A cycle: the broker connects to servers listed in the control plane, and reads that list over
  // connections to the main server. It looks up no other server until it is asked for one.
  const broker = createBroker({
    budget: config.databaseConnections,
    idleMs: 30_000,
    acquireTimeoutMs: 5_000,
    answerTimeoutMs: config.statementTimeoutMs + 5_000,
    mainServerId: main.id,
    resolve: (target) => servers.connectionConfig(target),
    nameOf: (serverId) => servers.nameOf(serverId),
    watch: watchStatements(metrics),
    tracing,
    log: moduleLog(log, "database"),
  });
  const lanes = createLanes({ broker });
  const control = createControlDatabase({
    lanes,
    broker,
    target: { serverId: main.id, database: main.database, role: "control" },
  });
  const servers = createServers({
    control,
    main,
    migrations,
    secrets,
    broker,
    settings: connectionSettings(config),
  });
  measureConnections(metrics, broker, lanes, servers.nameOf);
  const plans = createPlans(config.quotas);
  const connect: Connect = (target) => broker.lease(target);
  const provisioning = createProvisioning({
    control,
    connect,
    servers,
    migrations,
    secrets,
    mainDatabase: main.database,
    closeTarget: broker.closeTarget,
  });
  return {
    config,
    log,
    metrics,
    tracing,
    main,
    migrations,
    secrets,
    broker,
    lanes,
    connect,
    control,
    servers,
    plans,
    provisioning,
    databaseOf: createDatabaseOf({ lanes, broker, plans }),
    async close(onDatabase) {
      await lanes.close();
      await broker.close();
      await stopOthers(onDatabase);
    },
  };
}

/** Migrates outdated placements; the pools were migrated at boot. */
export async function migratePlacements(installation: Installation, note: Note): Promise<void> {
  const { config, control, connect, migrations, log } = installation;
  const { behind } = await control
    .selectFrom("control.placements")
    .select(({ fn }) => fn.countAll<string>().as("behind"))
    .where("version", "<", migrations.version)
    .executeTakeFirstOrThrow();
  if (behind === "0") return;
  if (!config.migrateOnStart) {
    log.warn("Some placements need migrations: run `insulae migrate up`");
    return;
  }
  note(`Migrating ${behind} placements …`);
  let tenths = 0;
  const onProgress = (done: number, total: number) => {
    if (Math.floor((done * 10) / total) <= tenths) return;
    tenths = Math.floor((done * 10) / total);
    note(`Migrated ${done} of ${total} placements`);
  };
  const outcomes = await migrateAll({ control, connect, migrations, log, onProgress });
  for (const outcome of outcomes) {
    if (outcome.state !== "failed") continue;
    log.error(
      { err: outcome.error, placement: outcome.placement },
      "Could not migrate a placement; `insulae migrate up` retries",
    );
  }
}
