/**
 * `createApp()`: the composition root, the only place that knows all parts (drawn in
 * docs/architecture.md). Nothing is global: two apps can run in one process.
 */

import { setTimeout as sleep } from "node:timers/promises";
import proxyAddress from "@fastify/proxy-addr";
import type { FastifyInstance } from "fastify";
import { sql } from "kysely";
import type { Config } from "../config/config.ts";
import { dialects } from "../dialects/index.ts";
import { featuresOf } from "../features/index.ts";
import { signedFor } from "../features/storage/storage.feature.ts";
import { requireWrites } from "../kernel/engine/require-writes.ts";
import { startFeatures } from "../kernel/feature/hooks.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { createLimiter } from "../kernel/http/limits/limiter.ts";
import { createRequestLimits } from "../kernel/http/limits/request-limits.ts";
import { createOrigins } from "../kernel/http/request/origins.ts";
import { requestSource } from "../kernel/http/request/request-audit.ts";
import { type AdmitHost, createDevelopmentHosts } from "../kernel/http/server/development-hosts.ts";
import { createHttpServer } from "../kernel/http/server/server.ts";
import { createAuthorise } from "../kernel/identity/authorise.ts";
import { createCrossTenantAudit } from "../kernel/identity/cross-tenant.ts";
import { createResolver } from "../kernel/identity/resolution.ts";
import { createReadInput } from "../kernel/identity/resolver-input.ts";
import { redeemTicket } from "../kernel/identity/tickets.ts";
import { measureQueue } from "../kernel/job-worker/job-metrics.ts";
import { chain } from "../kernel/lib/maybe-promise.ts";
import { moduleLog } from "../kernel/telemetry/log.ts";
import { measureProcess } from "../kernel/telemetry/process-metrics.ts";
import { createHostLookup } from "../kernel/tenancy/host-lookup.ts";
import { createFindPresented } from "../kernel/tls/presented-certificate.ts";
import { pagesOf } from "../pages/index.ts";
import type { App, AppOptions } from "./app-api.ts";
import { stockApplication } from "./application.ts";
import { checkAppOptions } from "./check-application.ts";
import { consoleFor, warnOfLinks } from "./console.ts";
import { createConsoleBuild } from "./console-build.ts";
import { makeFirstAdmin, makeStartToken } from "./first-admin.ts";
import { followPort } from "./follow-port.ts";
import { createIdentify } from "./identify.ts";
import { type Installation, migratePlacements, openInstallation } from "./installation.ts";
import { createListen, createRun } from "./listening.ts";
import { createLogPort } from "./log-port.ts";
import { openLogging } from "./logging.ts";
import { withStoredSecrets } from "./secret-store.ts";
import { measureServices } from "./service-metrics.ts";
import { createServices, type Services } from "./services.ts";
import { shutdownTimes } from "./shutdown.ts";
import { createDefaultLog, createNote, isWatched, type Start } from "./starting.ts";
import { createTlsEntrance } from "./tls-entrance.ts";
import { startUpkeep } from "./upkeep.ts";
import { version } from "./version.ts";

/**
 * Creates an app: opens (or starts) its databases, migrates and checks them, and wires everything
 * up. Changes nothing of the process.
 *
 * @throws DeclarationError with everything wrong with options and features, before anything is
 * opened; ConfigError, IsolationError, TablesDiffer
 * @example
 * const app = await createApp({ features: [invoices] });
 * await app.tenants.create({ key: "acme", name: "Acme Corp", isolation: "database" });
 * await app.run({ port: 8080 });
 */
export async function createApp(options: AppOptions = {}): Promise<App> {
  checkAppOptions(options);
  const parent = process.ppid;
  const env = { ...(await withStoredSecrets(options.env ?? process.env)) };
  const { config, moveTo } = followPort(env, options.config);
  const { name, dns, worker, features = stockApplication.features, settings, retired } = options;
  const watched = isWatched(config, options.log);
  const ownLog = options.log ?? createDefaultLog(config);
  const { log, logs, file } = openLogging(config, ownLog, worker?.logs);
  const start = { moveTo, watched, note: createNote(watched, log) };
  start.note("Starting …");
  const installation = await openInstallation(config, featuresOf(config, features), log, {
    note: start.note,
    ...(retired && { retired }),
  });
  try {
    const services = await createServices(installation, { name, dns, logs, settings });
    const app = await assemble(installation, services, { ...options, ...start });
    let closing: Promise<void> | undefined;
    const close = (onDatabaseStop?: () => void) => {
      closing ??= app.close(onDatabaseStop).finally(() => file?.close());
      return closing;
    };
    const reopenLog = () => file?.reopen();
    return {
      ...app,
      reopenLog,
      run: createRun({
        ...{ config, listen: app.listen, close, parent, note: start.note },
        onHangUp: file && reopenLog,
      }),
      close: () => close(),
    };
  } catch (error) {
    await installation.close();
    await file?.close();
    throw error;
  }
}

interface Assembled extends Omit<App, "reopenLog" | "run" | "close"> {
  /**
   * @param onDatabaseStop called when everything but the embedded PostgreSQL has stopped. Its final
   * checkpoint takes as long as it needs, so any deadline ends here
   */
  close(onDatabaseStop?: () => void): Promise<void>;
}

async function assemble(
  installation: Installation,
  services: Services,
  { name: ownName, worker, moveTo, watched, note }: Pick<AppOptions, "name" | "worker"> & Start,
): Promise<Assembled> {
  const { config, control, features, log, secrets, servers, redis } = installation;
  const { platform, catalogue, databaseOf, announcements, authenticate } = services;
  const { mailSender, jobRunner, moveRunner } = services;
  const name = ownName ?? "Insulae";
  const baseUrl = () => config.baseUrl;
  const { drainMs, graceMs } = shutdownTimes(config);

  const hostLookup = createHostLookup({
    baseDomain: config.baseDomain,
    platformHosts: ["localhost", new URL(config.baseUrl).hostname],
  });
  // Fastify's own way of deciding whose `X-Forwarded-…` to trust.
  const trusted = proxyAddress.compile([...config.trustProxy]);
  const findPresented = createFindPresented(
    (address) => trusted(address, 0),
    config.trustClientCert,
  );
  const readInput = createReadInput(findPresented, (purpose, ticket) =>
    redeemTicket(platform.oneTimeTokens, purpose, ticket),
  );
  const crossTenant = createCrossTenantAudit({
    audit: platform.audit,
    sourceOf: requestSource,
    log,
    metrics: installation.metrics,
  });
  const resolver = createResolver({
    certificates: platform.clientCertificates,
    catalogue,
    hostLookup,
    defaultTenant: config.defaultTenant,
    authenticate,
    onCrossTenantAttempt: crossTenant.note,
  });
  const findTenant = (host: string) => {
    const lookup = hostLookup(host);
    return lookup && catalogue.find(lookup);
  };
  // Elsewhere an answer would tell which tenants there are: one that is suspended has none.
  const isPlatformHost = (host: string) =>
    config.env === "production"
      ? hostLookup(host) === undefined
      : chain(findTenant(host), (tenant) => tenant === undefined);
  const web = consoleFor(config, { isPlatformHost, findTenant });
  const admitHost = config.env === "production" ? undefined : developmentHosts(config, services);
  const http = createHttpServer({
    features,
    admitHost,
    identify: createIdentify({ readInput, resolver, platform, databaseOf }),
    authorise: createAuthorise(
      config.env === "production" ? undefined : platform.permissions.rolesWith,
    ),
    // Whichever worker is asked, it reports on all.
    metrics: { ...installation.metrics, ...(worker && { text: worker.allMetrics }) },
    metricsToken: config.metricsToken,
    tracing: installation.tracing,
    health: {
      database: () => sql`select 1`.execute(control),
      others: {
        announcements: async () => {
          if (!announcements.listening()) throw new Error("announcements are not being received");
        },
        writes: () => requireWrites(control),
        ...(redis && { redis: () => redis.run((client) => client.sendCommand(["PING"])) }),
        ...(platform.storage.check && { storage: platform.storage.check }),
      },
    },
    cors: {
      origins: createOrigins({
        platform: config.corsOrigins,
        localPages: config.env === "development" && config.corsOrigins.length === 0,
        baseUrl,
        baseDomain: config.baseDomain,
        findTenant,
        findKnownTenant: (host) => {
          const lookup = hostLookup(host);
          return lookup && catalogue.findKnown(lookup);
        },
      }),
      credentials: config.corsCredentials,
      localPages: config.env !== "production",
    },
    limits: createRequestLimits({
      limits: config.rateLimits,
      limiter: createLimiter({ redis, takeFromPrimary: worker?.take }),
      metrics: installation.metrics,
      findTenant: (id) => catalogue.find({ by: "id", value: id }),
      signedFor: (request) => signedFor(platform, request),
      count: (tenant) => platform.usage.count(tenant, "requests"),
    }),
    cursorSecret: secrets.derive("cursors", 32),
    baseUrl,
    version,
    name,
    dialects: new Set(dialects),
    pages: {
      pages: pagesOf({ config, name, version, hasConsole: web !== undefined }),
      isPlatformHost,
    },
    console: web,
    production: config.env === "production",
    log: moduleLog(log, "http"),
    bodyLimit: config.bodyLimitBytes,
    trustProxy: config.trustProxy,
    shutdownGraceMs: graceMs,
    workers: config.workers,
    socketPeers: worker?.sockets,
  });

  await migratePlacements(installation, note);
  await announcements.listen().catch(async (error: unknown) => {
    await services.close();
    throw error;
  });
  mailSender.start();
  platform.usage.start();
  jobRunner.start();
  moveRunner.start();
  const tls = createTlsEntrance({ config, http, certificates: platform.certificates, log });
  const logPort = createLogPort({ config, http, log });
  worker?.onMetrics(installation.metrics.text);
  measureQueue(installation.metrics, control);
  measureServices(installation.metrics, { logs: platform.logs, redis, announcements });
  const stopMeasuring = measureProcess(installation.metrics, version);
  const upkeep = startUpkeep(installation, services, tls);
  const drain = async () => {
    if (!http.server.listening || drainMs === 0) return;
    log.info(
      { seconds: config.drainSeconds },
      "Insulae is stopping: reports not ready, and serves until then",
    );
    http.drain();
    await sleep(drainMs);
  };
  const stopServing = async () => {
    await drain();
    await http.close();
    await crossTenant.close();
    stopMeasuring();
    await upkeep.stop();
  };
  const { tenants, hosts, jobs, metrics, withTenant, withPlatform, audit } = platform;
  const scope = {
    config: platform.config,
    tenants,
    hosts,
    servers,
    jobs,
    withTenant,
    withPlatform,
    audit,
  };
  const stopFeatures = await startFeatures(features, { ...scope, metrics, log }).catch(
    async (error: unknown) => {
      await stopServing();
      await services.close();
      throw error;
    },
  );

  const ensureAdmin: App["ensureAdmin"] = (admin) => makeFirstAdmin(installation, services, admin);
  const consoleBuild = createConsoleBuild(config, log);
  if (!worker) warnOfLinks(config, log);
  return {
    ...scope,
    ensureAdmin,
    inject: http.inject.bind(http) as FastifyInstance["inject"],
    listen: createListen({
      ...{ name: ownName, config, moveTo, http, tls, logPort, log, watched },
      app: { ensureAdmin, tenants },
      startToken: () => makeStartToken(installation, services),
      onListening: consoleBuild.start,
      isWorker: worker !== undefined,
    }),
    tlsPort: tls.port,
    logPort: logPort.port,
    async close(onDatabaseStop) {
      consoleBuild.stop();
      await stopServing();
      await stopFeatures();
      await services.close();
      await installation.close(onDatabaseStop);
    },
  };
}

const developmentHosts = (
  { baseDomain, baseUrl, appUrl }: Config,
  { catalogue, platform }: Services,
): AdmitHost =>
  createDevelopmentHosts({
    baseDomain,
    ownHosts: [baseUrl, appUrl].map((url) => new URL(url).hostname),
    isRegistered: (hostname) =>
      chain(
        catalogue.find({ by: "host", value: hostname }),
        // A registered host may not have a tenant yet.
        (tenant) => tenant !== undefined || isRegistered(platform, hostname),
      ),
  });

const isRegistered = async ({ hosts }: Platform, hostname: string): Promise<boolean> =>
  (await hosts.find(hostname)) !== undefined;
