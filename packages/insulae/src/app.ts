/**
 * `createApp()`: the composition root. The only place that knows all parts; what it wires together
 * is drawn in docs/architecture.md. Nothing is global: two apps can live in one process.
 */
import type { FastifyInstance } from "fastify";
import { sql } from "kysely";
import { type Config, loadConfig } from "./config.ts";
import { findAccountStanding } from "./features/accounts/accounts.feature.ts";
import { coreFeatures, standardFeatures } from "./features/index.ts";
import { findStanding } from "./features/users/users.feature.ts";
import { type Installation, openInstallation } from "./installation.ts";
import { createAnnouncements } from "./kernel/announcements.ts";
import { createAuthority, systemRolePermissions } from "./kernel/auth/authority.ts";
import { createPasswords } from "./kernel/auth/passwords.ts";
import { loadSigningKeys, secretSigningKeys } from "./kernel/auth/signing-keys.ts";
import { createTokens } from "./kernel/auth/tokens.ts";
import { migrateAll } from "./kernel/database/migrate-all.ts";
import type { Feature } from "./kernel/feature.ts";
import { createHttpServer } from "./kernel/http/server.ts";
import { createPlatform, type Platform } from "./kernel/platform.ts";
import { chain } from "./kernel/maybe-promise.ts";
import { createLogger, type Logger } from "./kernel/telemetry/log.ts";
import { createCatalogue } from "./kernel/tenancy/catalogue.ts";
import { createHosts } from "./kernel/tenancy/hosts.ts";
import { requestFacts } from "./kernel/tenancy/request-facts.ts";
import { createResolver } from "./kernel/tenancy/resolution.ts";
import type { Tenant, UserId } from "./kernel/tenancy/tenant.ts";
import { findTenant } from "./kernel/tenancy/tenant-queries.ts";
import { createTenants } from "./kernel/tenancy/tenants.ts";
import { version } from "./version.ts";

export interface AppOptions {
  /** What the app offers beside accounts, tenants and users. Default: `standardFeatures`. */
  readonly features?: readonly Feature[];
  /** Settings that win over the environment's. */
  readonly config?: Partial<Config>;
  /** Where settings are read from. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly log?: Logger;
}

export interface App extends Pick<Platform, "tenants" | "hosts" | "servers" | "withTenant" | "withPlatform"> {
  readonly config: Config;
  /** Serves a request without a port: `await app.inject({ method: "GET", url: "/health" })`. */
  readonly inject: FastifyInstance["inject"];
  /** @returns where the server listens. */
  listen(options?: { readonly port?: number; readonly host?: string }): Promise<string>;
  /** Finishes what is in flight, gives everything back. */
  close(): Promise<void>;
}

/**
 * Makes an app: opens (or starts) its databases, migrates and checks them, wires everything up.
 *
 * @throws ConfigError, IsolationError, or an Error that lists what is wrong with the features.
 * @example
 * const app = await createApp({ features: [invoices] });
 * await app.tenants.create({ key: "acme", name: "Acme Corp", isolation: "database" });
 * await app.listen({ port: 8080 });
 */
export async function createApp(options: AppOptions = {}): Promise<App> {
  const config = loadConfig(options.env ?? process.env, options.config);
  const log = options.log ?? createLogger(config.logLevel);
  const features = [...coreFeatures, ...(options.features ?? standardFeatures)];
  const installation = await openInstallation(config, features, log);
  try {
    return await assemble(installation);
  } catch (error) {
    await installation.close();
    throw error;
  }
}

async function assemble(installation: Installation): Promise<App> {
  const { config, control, features, log, main, secrets, servers, databaseOf } = installation;

  const catalogue = createCatalogue({
    load: (lookup) => findTenant(control, lookup),
    listening: () => announcements.listening(),
  });
  const authority = createAuthority({
    loadUser: (tenant, id) => findStanding(databaseOf(tenant), id),
    loadAccount: (id) => findAccountStanding(control, id),
    permissionsOf: systemRolePermissions(features),
    listening: () => announcements.listening(),
  });
  const announcements = createAnnouncements({
    broker: installation.broker,
    target: { serverId: main.id, database: main.database, role: "control" },
    control,
    handlers: {
      onTenant: catalogue.forget,
      onUser: authority.forgetUser,
      onAccount: authority.forgetAccount,
      onAnything() {
        catalogue.forgetAll();
        authority.forgetAll();
      },
    },
    log,
  });
  const tokens = createTokens({
    signing: config.jwtSecret
      ? await secretSigningKeys(config.jwtSecret)
      : await loadSigningKeys(control, {
          seal: (text) => secrets.seal("signing-key", text),
          open: (sealed) => secrets.open("signing-key", sealed),
        }),
    issuer: config.baseUrl,
    audience: "insulae",
    accessTtlSeconds: config.accessTokenSeconds,
  });
  const { baseDomain, baseUrl } = config;
  const platform = createPlatform({
    config,
    control,
    hosts: createHosts({ control, catalogue, baseDomain }),
    servers,
    tenants: createTenants({
      control,
      catalogue,
      provisioning: installation.provisioning,
      eraseRows: (tenant) => eraseRows(installation, tenant),
      baseDomain,
      defaultPlan: config.env === "production" ? "free" : "premium",
      deletedTenantDays: config.deletedTenantDays,
      log,
    }),
    authority,
    tokens,
    passwords: createPasswords(),
    databaseOf,
    log,
  });

  const resolver = createResolver({
    catalogue,
    baseDomain,
    platformHosts: ["localhost", new URL(baseUrl).hostname],
    verifyToken: tokens.verify,
    findUser: authority.findUser,
    findAccount: authority.findAccount,
    onCrossTenantAttempt({ user, userTenant, requestTenant }) {
      const attempt = { user, user_tenant: userTenant, request_tenant: requestTenant };
      log.warn(attempt, "Cross-tenant access attempt");
      control
        .insertInto("control.audit_log")
        .values({
          action: "cross_tenant_attempt",
          actor: user,
          detail: JSON.stringify(attempt),
        })
        .execute()
        .catch((error: unknown) => log.error({ err: error }, "An audit entry could not be written"));
    },
  });
  const forgetUser = async (tenant: Tenant, userId: string): Promise<void> => {
    authority.forgetUser(tenant.id, userId as UserId);
    await announcements.announceUser(tenant.id, userId);
  };
  const http = createHttpServer({
    features,
    resolve: (request, route) =>
      chain(resolver(requestFacts(request), route), ({ tenant, user }) => ({
        tenant,
        user,
        platform,
        get db() {
          return tenant && databaseOf(tenant);
        },
        forgetUser: async (userId) => tenant && forgetUser(tenant, userId),
      })),
    health: { database: () => sql`select 1`.execute(control) },
    cursorSecret: secrets.derive("cursors", 32),
    baseUrl,
    version,
    production: config.env === "production",
    log,
    bodyLimit: config.bodyLimitBytes,
    trustProxy: config.trustProxy,
  });

  await migratePlacements(installation);
  await announcements.ready;
  const sweeping = startSweeping(platform, log);

  return {
    config,
    tenants: platform.tenants,
    hosts: platform.hosts,
    servers,
    withTenant: platform.withTenant,
    withPlatform: platform.withPlatform,
    inject: http.inject.bind(http) as FastifyInstance["inject"],
    listen: ({ port = config.port, host = config.host } = {}) => http.listen({ port, host }),
    async close() {
      await http.close();
      await sweeping.stop();
      await announcements.close();
      await installation.close();
    },
  };
}

/** Brings the placements that are behind to this version; the pools were at boot. */
async function migratePlacements(installation: Installation): Promise<void> {
  const { control, connect, migrations, log } = installation;
  const behind = await control
    .selectFrom("control.placements")
    .select("id")
    .where("version", "<", migrations.version)
    .limit(1)
    .executeTakeFirst();
  if (!behind) return;
  const outcomes = await migrateAll({ control, connect, migrations, log });
  for (const outcome of outcomes) {
    if (outcome.state !== "failed") continue;
    log.error(
      { err: outcome.error, placement: outcome.placement },
      "A placement could not be migrated; `insulae migrate up` tries again",
    );
  }
}

/** Deletes the tenant's rows from a shared schema, those that refer to others first. */
async function eraseRows(installation: Installation, tenant: Tenant): Promise<void> {
  const { features, migrations, databaseOf } = installation;
  const tables = migrations.features.flatMap(
    ({ name }) => features.find((feature) => feature.name === name)?.tables ?? [],
  );
  await databaseOf(tenant)
    .transaction()
    .execute(async (tx) => {
      for (const table of tables.toReversed()) await sql`delete from ${sql.table(table)}`.execute(tx);
    });
}

const sweepEveryMs = 3_600_000;

/** Erases what is due now and then; several nodes may do it at once. */
function startSweeping({ tenants }: Platform, log: Logger) {
  let running = Promise.resolve();
  const sweep = () => {
    running = tenants
      .sweep()
      .catch((error: unknown) => log.error({ err: error }, "Deleted tenants could not be erased"));
  };
  const timer = setInterval(sweep, sweepEveryMs);
  timer.unref();
  sweep();
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
