/**
 * Insulae as measured: an installation in production mode on the benchmark's PostgreSQL, and its
 * tenants. The pool's are inserted by SQL, because a thousand calls would take too long; those with
 * their own database are created by `app.tenants.create`.
 */
import { execFile as execFileCallback } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { type Installation, openInstallation } from "../packages/insulae/src/app/installation.ts";
import { createServices, type Services } from "../packages/insulae/src/app/services.ts";
import { loadConfig } from "../packages/insulae/src/config/config.ts";
import { coreFeatures, standardFeatures } from "../packages/insulae/src/features/index.ts";
import { type App, createApp } from "../packages/insulae/src/index.ts";
import { epochOf } from "../packages/insulae/src/kernel/identity/authority.ts";
import {
  loadSigningKeys,
  signingKeySealer,
} from "../packages/insulae/src/kernel/identity/signing-keys.ts";
import { createTokens, type Tokens } from "../packages/insulae/src/kernel/identity/tokens.ts";
import type { TenantId, UserId } from "../packages/insulae/src/kernel/lib/ids.ts";
import { createSecrets } from "../packages/insulae/src/kernel/lib/secrets.ts";
import { createLogger } from "../packages/insulae/src/kernel/telemetry/log.ts";
import type { Database } from "./database.ts";
import {
  type Caller,
  contactsPerSmallTenant,
  firstDatabaseTenant,
  firstSmallTenant,
  insertContacts,
  tenantCount,
  tenantId,
} from "./dataset.ts";
import { hashOfPassword, userEmail } from "./people.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const execFile = promisify(execFileCallback);

export const repository = resolve(import.meta.dirname, "..");

export interface Insulae {
  /** One user of each tenant in the pool. */
  readonly pool: readonly Caller[];
  /**
   * The URL of the data plane's role in the main database, which by itself sees no tenant's rows.
   */
  readonly appUrl: string;
  /** Tenants with their own database; created on demand. */
  databaseTenants(count: number, progress?: (made: number) => void): Promise<DatabaseTenant[]>;
  /** Tenants in the pool with two contacts each; created on demand. */
  smallTenants(count: number): Promise<readonly Caller[]>;
  /** Adds the server, and creates tenants with their own databases on it. */
  tenantsOn(server: Database, count: number): Promise<DatabaseTenant[]>;
  /** Opens the app in this process while `fn` runs. */
  withApp<Result>(fn: (app: App) => Promise<Result>): Promise<Result>;
  /** Opens the services, without HTTP, in this process while `fn` runs. */
  withServices<Result>(
    fn: (services: Services, installation: Installation) => Promise<Result>,
  ): Promise<Result>;
  /** Runs a CLI command in its own process. @throws Error if it fails */
  command(args: readonly string[]): Promise<void>;
  /** Starts the server in its own process. @param settings that override the others' */
  start(
    settings?: Readonly<Record<string, string>>,
    args?: readonly string[],
  ): Promise<ServerProcess>;
}

export type { Installation, Services };

export interface DatabaseTenant extends Caller {
  readonly database: string;
}

export async function installInsulae(database: Database): Promise<Insulae> {
  const masterSecret = randomBytes(32).toString("hex");
  const secrets = createSecrets(masterSecret);
  const env = {
    APP_ENV: "production",
    HOST: "127.0.0.1",
    DATABASE_URL: database.url,
    MASTER_SECRET: masterSecret,
    PUBLIC_URL: "https://bench.example",
    BASE_DOMAIN: "bench.example",
    // The log level is production's default, `info`: a line per request.
    MIGRATE_ON_START: "true",
    JWT_EXPIRATION: "86400",
    MAIL: "capture",
    EMAIL_VERIFICATION: "optional",
    // Requests are counted but never refused, unless a scenario is about that.
    RATE_LIMIT_GLOBAL: "1000000000",
    RATE_LIMIT_PLANS: "free=1000000000,standard=1000000000,premium=1000000000",
    RATE_LIMIT_ACCOUNT: "1000000000",
    RATE_LIMIT_ANONYMOUS: "1000000000",
    RATE_LIMIT_CREDENTIALS: "1000000000",
    // No load balancer has to notice that a server stops.
    DRAIN_SECONDS: "0",
    // As in the largest plan.
    PLAN_QUOTAS: "free.users=0,free.rows=0",
  };
  const withApp: Insulae["withApp"] = async (fn) => {
    const app = await createApp({ env, config: { logLevel: "error" } });
    try {
      return await fn(app);
    } finally {
      await app.close();
    }
  };
  const withTokens = <Result>(fn: (app: App, tokens: Tokens) => Promise<Result>) =>
    withApp((app) =>
      app.withPlatform("benchmark: sign tokens", async ({ control }) => {
        const signing = await loadSigningKeys(control, signingKeySealer(secrets));
        const { baseUrl, accessTokenSeconds: accessTtlSeconds } = app.config;
        const issuer = () => baseUrl;
        return fn(app, createTokens({ signing, issuer, audience: "insulae", accessTtlSeconds }));
      }),
    );

  const withDatabase: DatabaseTenant[] = [];
  const small: Caller[] = [];

  return {
    pool: await withTokens((app, tokens) => createPool(database, app, tokens)),
    appUrl: appUrl(database.url, secrets.rolePassword("insulae_app")),
    async databaseTenants(count, progress = () => {}) {
      const missing = count - withDatabase.length;
      if (missing > 0) {
        await withTokens(async (app, tokens) => {
          for (let made = 0; made < missing; made += 1) {
            const ordinal = firstDatabaseTenant + withDatabase.length;
            withDatabase.push(await createDatabaseTenant(database, app, tokens, ordinal));
            progress(made + 1);
          }
        });
      }
      return withDatabase.slice(0, count);
    },
    async smallTenants(count) {
      const missing = count - small.length;
      if (missing > 0) {
        const ordinals = { first: firstSmallTenant + small.length, count: missing };
        await withTokens(async (app, tokens) => {
          const { placement } = await app.tenants.get("first");
          const each = contactsPerSmallTenant;
          small.push(...(await insertTenants(database, tokens, placement.id, ordinals, each)));
        });
      }
      return small.slice(0, count);
    },
    tenantsOn: (server, count) =>
      withTokens(async (app, tokens) => {
        const { name } = await app.servers.add({ name: "second", url: server.url });
        await app.servers.update(name, { accepting: false });
        const made: DatabaseTenant[] = [];
        for (let n = 0; n < count; n += 1) {
          const ordinal = firstDatabaseTenant + 100_000 + n;
          made.push(await createDatabaseTenant(server, app, tokens, ordinal, name));
        }
        return made;
      }),
    withApp,
    withServices: (fn) => withServices(env, fn),
    command: (args) => runCommand(env, args),
    start: (settings, args) => startInsulae({ ...env, ...settings }, args),
  };
}

async function withServices<Result>(
  env: Readonly<Record<string, string>>,
  fn: (services: Services, installation: Installation) => Promise<Result>,
): Promise<Result> {
  const features = [...coreFeatures, ...standardFeatures];
  const log = createLogger("error");
  const installation = await openInstallation(loadConfig(env), features, log);
  try {
    const services = await createServices(installation);
    try {
      await services.announcements.listen();
      return await fn(services, installation);
    } finally {
      await services.close();
    }
  } finally {
    await installation.close();
  }
}

async function runCommand(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<void> {
  const folder = temporaryFolder();
  try {
    await execFile(process.execPath, [commandLine, ...args], {
      env: { PATH: process.env.PATH, ...env, DATA_DIR: folder.path },
    });
  } finally {
    folder.remove();
  }
}

const commandLine = join(repository, "packages/insulae/src/cli/main.ts");

async function startInsulae(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<ServerProcess> {
  const folder = temporaryFolder();
  try {
    const server = await startServer({
      command: process.execPath,
      args: [commandLine, "start", ...args],
      env: { ...env, DATA_DIR: folder.path },
      probe: "/health/ready",
      healthy: true,
    });
    const stop = () => server.stop().finally(folder.remove);
    return { ...server, stop };
  } catch (error) {
    folder.remove();
    throw error;
  }
}

function appUrl(administratorUrl: string, password: string): string {
  const url = new URL(administratorUrl);
  url.username = "insulae_app";
  url.password = password;
  return url.href;
}

/**
 * The app creates the first tenant, and with it the pool's placement; the others are inserted next
 * to it.
 */
async function createPool(database: Database, app: App, tokens: Tokens): Promise<Caller[]> {
  const { placement } = await app.tenants.create({
    key: "first",
    name: "First",
    isolation: "pool",
  });
  return insertTenants(database, tokens, placement.id, { first: 1, count: tenantCount });
}

/** Inserts tenants with a user and contacts each. @param each the number of contacts */
async function insertTenants(
  database: Database,
  tokens: Tokens,
  placementId: string,
  { first, count }: { readonly first: number; readonly count: number },
  each?: number,
): Promise<Caller[]> {
  const tenants = Array.from({ length: count }, (_, i) => ({
    ordinal: first + i,
    id: tenantId(first + i),
  }));
  const userIds = await database.connected(async (client) => {
    await client.query(
      `insert into control.tenants (id, key, slug, name, status, placement_id)
       select id, 'bench-' || ordinal, 'bench-' || ordinal, 'Tenant ' || ordinal, 'active', $3
       from unnest($1::uuid[], $2::integer[]) as tenant (id, ordinal)`,
      [tenants.map(({ id }) => id), tenants.map(({ ordinal }) => ordinal), placementId],
    );
    await insertContacts(client, tenants, each);
    const users = await insertUsers(client, tenants);
    await client.query("vacuum analyze");
    return users;
  });
  return Promise.all(
    tenants.map(async ({ id, ordinal }) => ({
      ordinal,
      token: await signFor(tokens, id, userIds.get(id)),
    })),
  );
}

async function createDatabaseTenant(
  database: Database,
  app: App,
  tokens: Tokens,
  ordinal: number,
  server?: string,
): Promise<DatabaseTenant> {
  const { id, placement } = await app.tenants.create({
    key: `bench-${ordinal}`,
    name: `Tenant ${ordinal}`,
    isolation: "database",
    server,
  });
  const userIds = await database.connected(async (client) => {
    await insertContacts(client, [{ id, ordinal }]);
    const users = await insertUsers(client, [{ id }]);
    await client.query("vacuum analyze data.contacts, data.users");
    return users;
  }, placement.database);
  const token = await signFor(tokens, id, userIds.get(id));
  return { ordinal, token, database: placement.database };
}

/** Inserts one user per tenant. @returns the users' ids by tenant */
async function insertUsers(
  client: Parameters<typeof insertContacts>[0],
  tenants: readonly { readonly id: string }[],
): Promise<Map<string, string>> {
  const { rows } = await client.query<{ tenant_id: string; id: string }>(
    `insert into data.users (tenant_id, email, role, password_hash, sessions_valid_from)
     select tenant_id, $2, 'user', $3, to_timestamp(0)
     from unnest($1::uuid[]) as tenant_id
     returning tenant_id, id`,
    [tenants.map(({ id }) => id), userEmail, await hashOfPassword()],
  );
  return new Map(rows.map((row) => [row.tenant_id, row.id]));
}

/** The same kind of token as from a log-in. */
function signFor(tokens: Tokens, tenant: string, user: string | undefined): Promise<string> {
  const subject = {
    // both ids come from the inserted rows
    tenantId: tenant as TenantId,
    userId: user as UserId,
    role: "user",
    permissions: ["contacts:read", "contacts:write"],
  };
  return tokens.sign(subject, { id: randomUUID(), epoch: epochOf(new Date(0)) });
}
