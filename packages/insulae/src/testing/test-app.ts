/**
 * An app with a database of its own. Migrating takes most of a second, so it is done once per set
 * of migrations, in a template that includes the template of tenants' databases and the signing
 * keys; each test app starts on a clone.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { createApp } from "../app/app.ts";
import type { App, AppOptions } from "../app/app-api.ts";
import { checkAppOptions, loadDeclared } from "../app/check-application.ts";
import { openInstallation } from "../app/installation.ts";
import { createTerminalLogger } from "../app/terminal-log.ts";
import { type Config, loadConfig } from "../config/config.ts";
import { coreFeatures, standardFeatures } from "../features/index.ts";
import type { Feature } from "../kernel/feature/feature.ts";
import type { InDatabase } from "../kernel/schema/roles.ts";
import { createLogger } from "../kernel/telemetry/log.ts";
import { removePlace } from "../kernel/tenancy/physical.ts";
import { createTestClient, type TestClient } from "./test-client.ts";
import { testConfig } from "./test-config.ts";
import {
  createTestDatabase,
  type TestDatabase,
  type TestTemplate,
  withDatabase,
} from "./test-database.ts";
import { runJobs } from "./test-jobs.ts";
import {
  createTestAccount,
  createTestAdmin,
  createTestTenant,
  type NewTestTenant,
  type TestAccount,
  type TestTenant,
} from "./test-tenants.ts";
import { until } from "./until.ts";

export interface TestAppOptions extends AppOptions {
  /**
   * Prints nothing, for tests that provoke unexpected errors. Otherwise these (a 500 for the
   * client) are printed to stderr with route and cause.
   */
  readonly quiet?: boolean;
}

export interface TestApp extends App {
  /** Includes what is needed to open its database, for another node or a client of your own. */
  readonly config: Config;
  /**
   * Creates a tenant.
   *
   * @param key default: a unique one
   */
  createTenant(key?: string, options?: NewTestTenant): Promise<TestTenant>;
  /** Creates an account that is not in any tenant. @param email default: a unique one */
  createAccount(email?: string): Promise<TestAccount>;
  /** Creates an account that administers the platform. */
  createAdmin(): Promise<TestAccount>;
  /** A client that isn't signed in and names no tenant. */
  readonly visitor: TestClient;
  /**
   * The e-mails to an address, oldest first, once there are `count`. E-mails are captured, not
   * sent.
   *
   * @param count default 1
   * @throws Error after ten seconds with fewer
   */
  mailsTo(email: string, count?: number): Promise<readonly TestMail[]>;
  /**
   * Runs all waiting jobs, including delayed ones, retries, and jobs that they send, and returns
   * when they are done. (Jobs run by themselves when due; this waits for them.)
   *
   * @throws Error if one failed permanently, with its name and reason
   */
  runJobs(): Promise<void>;
}

/** A captured e-mail. */
export interface TestMail {
  readonly template: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/**
 * Creates an app on a new database of a real PostgreSQL, in a fraction of a second. It ignores the
 * environment unless `env` is given; `config` overrides single settings. `close()` closes
 * everything, and fails if the app left a connection open.
 *
 * @throws DeclarationError with everything wrong with options and features
 * @example
 * const app = await createTestApp({ features: [notes] });
 * after(() => app.close());
 * const acme = await app.createTenant("acme", { isolation: "schema" });
 * const ada = await acme.createUser({ role: "manager" });
 * const { status, body } = await ada.post("/notes", { text: "Remember" });
 */
export async function createTestApp(given: TestAppOptions = {}): Promise<TestApp> {
  checkAppOptions(given, "createTestApp", { quiet: true });
  const { quiet = false, ...options } = given;
  const features = [...coreFeatures, ...(options.features ?? standardFeatures)];
  const database = await createTestDatabase(await templateOf(features));
  const dataDir = mkdtempSync(join(tmpdir(), "insulae-test-app-"));
  const remove = async () => {
    rmSync(dataDir, { recursive: true, force: true });
    await removePlaces(database);
    await database.drop();
  };
  const config = { ...testConfig(database.url), dataDir, ...options.config };
  // With its own logger, an app prints nothing else and generates no administrator.
  const log = quiet ? createLogger("silent") : createTerminalLogger("error");
  try {
    const app = await createApp({ env: {}, log, ...options, config });
    const reported = new Set<string>();
    const visitor = createTestClient(app);
    let closing: Promise<void> | undefined;
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
      createTenant: (key, tenant) => createTestTenant(app, key, tenant),
      createAccount: (email) => createTestAccount(app, email),
      createAdmin: () => createTestAdmin(app),
      visitor,
      mailsTo: (email, count = 1) => mailsTo(visitor, email, count),
      runJobs: () => inDatabaseOf(database.url, (client) => runJobs(app, client, reported)),
      close() {
        closing ??= app.close().finally(remove);
        return closing;
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function mailsTo(
  visitor: TestClient,
  email: string,
  count: number,
): Promise<readonly TestMail[]> {
  let got = 0;
  const items = await until(
    () => `${email} has got ${count} mails, and not ${got}`,
    async () => {
      const { status, body, text } = await visitor.get(
        `/dev/mails?to=${encodeURIComponent(email)}`,
      );
      if (status !== 200) throw new Error(`captured mails can't be read: ${text}`);
      got = body.items.length;
      return got >= count && body.items;
    },
    10_000,
  );
  return items.toReversed();
}

async function templateOf(features: readonly Feature[]): Promise<TestTemplate> {
  const { control, hash } = await loadDeclared(features);
  const key = [hash, ...control.migrations.map(({ checksum }) => checksum)].join();
  return { key, prepare: (url) => prepare(url, features) };
}

async function prepare(url: string, features: readonly Feature[]): Promise<void> {
  const config = loadConfig({}, testConfig(url));
  const installation = await openInstallation(config, features, createLogger("silent"));
  await installation.provisioning.prepareTemplate(installation.main.id);
  await installation.close();
  // The template's pool has the template's name; the clone registers its own.
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
