/**
 * An app on a database of its own. Migrating takes most of a second, so it is done once for each set
 * of migrations, in a template, along with the template of tenants' databases and the signing keys;
 * each test app starts on a clone.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type App, type AppOptions, createApp } from "../app.ts";
import { type Config, loadConfig } from "../config.ts";
import { coreFeatures, standardFeatures } from "../features/index.ts";
import { openInstallation } from "../installation.ts";
import { loadMigrations } from "../kernel/database/migration-files.ts";
import type { InDatabase } from "../kernel/database/roles.ts";
import type { Feature } from "../kernel/feature.ts";
import { createLogger } from "../kernel/telemetry/log.ts";
import { removePlace } from "../kernel/tenancy/physical.ts";
import {
  createTestDatabase,
  type TestDatabase,
  type TestTemplate,
  withDatabase,
} from "./test-database.ts";
import { testMasterSecret } from "./test-secret.ts";

export interface TestApp extends App {
  /** With what opens its database, for another node or a client of the test's own. */
  readonly config: Config;
}

/**
 * Makes an app on a new database of a real PostgreSQL, ready in a fraction of a second. Nothing of
 * the environment gets in, unless `env` is given; `config` changes single settings. `close()` gives
 * everything back, and fails if the app left a connection open.
 *
 * @example
 * const app = await createTestApp({ features: [invoices] });
 * afterAll(() => app.close());
 * await app.tenants.create({ key: "acme", name: "Acme", isolation: "pool" });
 * const reply = await app.inject({ url: "/api/v1/invoices", headers: { "x-tenant": "acme" } });
 */
export async function createTestApp(options: AppOptions = {}): Promise<TestApp> {
  const features = [...coreFeatures, ...(options.features ?? standardFeatures)];
  const database = await createTestDatabase(await templateOf(features));
  const dataDir = mkdtempSync(join(tmpdir(), "insulae-test-app-"));
  const remove = async () => {
    rmSync(dataDir, { recursive: true, force: true });
    await removePlaces(database);
    await database.drop();
  };
  const config = { ...testConfig(database.url), dataDir, ...options.config };
  try {
    // Given a log, an app prints nothing besides, and makes nobody up.
    const log = createLogger(config.logLevel);
    const app = await createApp({ env: {}, log, ...options, config });
    return {
      ...app,
      config: Object.freeze({
        ...loadConfig(options.env ?? {}, config),
        get baseUrl() {
          return app.config.baseUrl;
        },
        get appUrl() {
          return app.config.appUrl;
        },
      }),
      close: () => app.close().finally(remove),
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A test signs people in by the dozen; one about the cost of that sets its own. */
const cheapHashes = { memoryKib: 64, passes: 1 };

/** Tests ask more often than people do; one about limits sets its own. */
const highLimits = {
  global: 1_000_000_000,
  plans: { free: 1_000_000_000 },
  account: 1_000_000_000,
  anonymous: 1_000_000_000,
  credentials: 1_000_000_000,
};

const testConfig = (databaseUrl: string) =>
  ({
    env: "test",
    port: 0,
    databaseUrl,
    databaseConnections: 20,
    masterSecret: testMasterSecret,
    logLevel: "silent",
    rateLimits: highLimits,
    argon2: cheapHashes,
  }) satisfies Partial<Config>;

async function templateOf(features: readonly Feature[]): Promise<TestTemplate> {
  const { control, hash } = await loadMigrations(features);
  const key = [hash, ...control.migrations.map(({ checksum }) => checksum)].join();
  return { key, prepare: (url) => prepare(url, features) };
}

async function prepare(url: string, features: readonly Feature[]): Promise<void> {
  const config = loadConfig({}, testConfig(url));
  const installation = await openInstallation(config, features, createLogger("silent"));
  await installation.provisioning.prepareTemplate(installation.main.id);
  await installation.close();
  // The pool is registered under the database's name; a clone registers its own.
  await inDatabaseOf(url, (client) => client.query("delete from control.placements"));
}

/** Databases and roles belong to the server, and would outlive the test's database. */
async function removePlaces({ url, name }: TestDatabase): Promise<void> {
  await inDatabaseOf(url, async (client) => {
    const { rows } = await client.query(
      `select server_id as "serverId", database, schema, isolation
       from control.placements
       where isolation <> 'pool'
         and server_id = (select id from control.servers where name = 'main')`,
    );
    const inDatabase: InDatabase = (database, fn) => inDatabaseOf(withDatabase(url, database), fn);
    for (const place of rows) await removePlace(client, place, name, inDatabase);
  });
}

async function inDatabaseOf(url: string, work: (client: pg.Client) => Promise<unknown>) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
