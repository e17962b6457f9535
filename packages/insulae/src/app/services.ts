/**
 * What works on an installation: the services of the control plane, wired together. The server
 * answers requests with them; a command of the CLI calls them.
 *
 * Long because it is one list: each is made of those above it.
 */

import { settingsOf } from "../config/settings.ts";
import { findAccountStanding } from "../features/accounts/accounts.feature.ts";
import { type ApiKeyTables, noteUse } from "../features/api-keys/api-keys.feature.ts";
import {
  findOwnTexts,
  type NotificationTables,
} from "../features/notifications/notifications.feature.ts";
import {
  findStanding,
  forgetGoneUser,
  profileKey,
  type UserTables,
} from "../features/users/users.feature.ts";
import {
  findWantedEvents,
  recordEvents,
  type WebhookTables,
} from "../features/webhooks/webhooks.feature.ts";
import {
  type Announcements,
  createAnnouncements,
  type FollowAnnouncements,
} from "../kernel/announcements/announcements.ts";
import { keepCurrent } from "../kernel/announcements/snapshot.ts";
import { type Anchors, createAnchors } from "../kernel/audit/anchors.ts";
import { createAudit } from "../kernel/audit/audit.ts";
import { createPlatformChain } from "../kernel/audit/platform-chain.ts";
import { createCaches } from "../kernel/cache/cache.ts";
import { countCache } from "../kernel/cache/cache-metrics.ts";
import { everything } from "../kernel/cache/entries.ts";
import { createRedisEntries } from "../kernel/cache/redis-entries.ts";
import { createDelivery } from "../kernel/delivery/delivery.ts";
import { createEvents } from "../kernel/feature/events.ts";
import { createPlatform, type Platform } from "../kernel/feature/platform.ts";
import { createApiKeyUse } from "../kernel/identity/api-key-use.ts";
import { type Authenticate, createAuthentication } from "../kernel/identity/authentication.ts";
import { createAuthority } from "../kernel/identity/authority.ts";
import { createCookieSessions } from "../kernel/identity/cookie-sessions.ts";
import { createEndedSessions } from "../kernel/identity/ended-sessions.ts";
import { createFactors } from "../kernel/identity/factors/factors.ts";
import { createOidcClient } from "../kernel/identity/oidc.ts";
import { createOneTimeTokens } from "../kernel/identity/one-time-tokens.ts";
import { createPasswords, hashesAtATime } from "../kernel/identity/passwords.ts";
import { createPermissions } from "../kernel/identity/permissions.ts";
import { createRefreshTokens } from "../kernel/identity/refresh-tokens.ts";
import { createSessionCookies } from "../kernel/identity/session-cookie.ts";
import { createSessions } from "../kernel/identity/sessions.ts";
import {
  loadSigningKeys,
  type SigningKeys,
  secretSigningKeys,
  signingKeySealer,
} from "../kernel/identity/signing-keys.ts";
import { createTokens } from "../kernel/identity/tokens.ts";
import { type JobDefinition, jobsOf } from "../kernel/jobs/job.ts";
import { createJobs, withRules } from "../kernel/jobs/jobs.ts";
import { createOutbox, type OutboxTables } from "../kernel/jobs/outbox.ts";
import { createJobQueue } from "../kernel/jobs/queue.ts";
import { createJobRunner, type JobRunner } from "../kernel/jobs/runner.ts";
import { scheduleForTenants } from "../kernel/jobs/schedules.ts";
import { tenantSecrets } from "../kernel/lib/secrets.ts";
import { shareOf } from "../kernel/lib/worker-share.ts";
import { createMail, mailTemplates } from "../kernel/mail/mail.ts";
import { createMailSender, type MailSender, mailsAtATime } from "../kernel/mail/sender.ts";
import { createDns, type Dns } from "../kernel/net/dns.ts";
import { createOutbound } from "../kernel/net/outbound.ts";
import { createSessions as createRequestSessions } from "../kernel/sessions/session.ts";
import { createSessionStore } from "../kernel/sessions/store.ts";
import { openStorage } from "../kernel/storage/open-storage.ts";
import { moduleLog } from "../kernel/telemetry/log.ts";
import { createLogHub, type LogHub } from "../kernel/telemetry/log-hub.ts";
import { type Catalogue, createCatalogue } from "../kernel/tenancy/catalogue.ts";
import { createDataPlaces } from "../kernel/tenancy/data-places.ts";
import { createHosts } from "../kernel/tenancy/hosts.ts";
import type { UserId } from "../kernel/tenancy/tenant.ts";
import { createTenantConfigs } from "../kernel/tenancy/tenant-config.ts";
import { findTenant } from "../kernel/tenancy/tenant-queries.ts";
import type { TenantSettings } from "../kernel/tenancy/tenant-settings.ts";
import { createTenants } from "../kernel/tenancy/tenants.ts";
import { createClientCertificates } from "../kernel/tls/client-certificates.ts";
import { createHostCertificates } from "../kernel/tls/host-certificates.ts";
import { createUsageCounts } from "../kernel/usage/counts.ts";
import type { Installation } from "./installation.ts";

export interface Services {
  readonly platform: Platform;
  readonly catalogue: Catalogue;
  readonly announcements: Announcements;
  /** Not started: a command of the CLI enqueues mails, the server sends them. */
  readonly mailSender: MailSender;
  /** Not started either. */
  readonly jobRunner: JobRunner;
  readonly authenticate: Authenticate;
  readonly anchors: Anchors;
  /** The installation stays open. */
  close(): Promise<void>;
}

export async function createServices(
  installation: Installation,
  options: {
    readonly dns?: Dns | undefined;
    readonly logs?: LogHub;
    readonly settings?: Pick<TenantSettings<unknown>, "check"> | undefined;
  } = {},
): Promise<Services> {
  const { config, control, features, log, main, servers, databaseOf, redis } = installation;
  const { workers } = config;
  const { dns = createDns(), logs = createLogHub({ format: "text", bufferSize: 0 }) } = options;
  const followers: (() => void)[] = [];
  const follow: FollowAnnouncements = (forgetAll) => {
    followers.push(forgetAll);
    return () => announcements.listening();
  };
  const tokens = createTokens({
    signing: await loadKeys(installation),
    issuer: () => config.baseUrl,
    audience: "insulae",
    accessTtlSeconds: config.accessTokenSeconds,
    keysReady: () => keys.ready(),
    maxVerified: config.cachedTenants,
  });
  const catalogue = createCatalogue({
    load: (lookup) => findTenant(control, lookup),
    follow,
    maxTenants: config.cachedTenants,
  });
  const permissions = createPermissions(features);
  const authority = createAuthority({
    loadUser: (tenant, id) => findStanding(databaseOf(tenant), id),
    loadAccount: (id) => findAccountStanding(control, id),
    permissionsOf: permissions.of,
    follow,
    max: config.cachedTenants,
  });
  const endedSessions = createEndedSessions({
    control,
    accessTtlSeconds: config.accessTokenSeconds,
    follow,
  });
  const keys = keepCurrent({
    load: async () => tokens.replaceKeys(await loadKeys(installation)),
    follow,
  });
  const certificates = createHostCertificates({
    control,
    secrets: installation.secrets,
    follow,
  });
  const clientCertificates = createClientCertificates({
    control,
    authority,
    follow,
  });
  const cookieSessions = createCookieSessions({
    control,
    cookies: createSessionCookies(installation.secrets),
    idleSeconds: config.sessionIdleHours * 3600,
    maxSeconds: config.refreshTokenDays * 86_400,
    log: moduleLog(log, "auth"),
  });
  const caches = createCaches({
    redis: redis && createRedisEntries(redis),
    announce: (tenantId, id) => announcements.announceCache(tenantId, id),
    follow,
    maxBytes: config.cacheMegabytes * 1_048_576,
    log: moduleLog(log, "cache"),
  });
  countCache(installation.metrics, caches);
  const configs = createTenantConfigs({ redis, catalogue, follow });
  const events = createEvents({
    features,
    wanted: (tenant) => findWantedEvents(databaseOf<WebhookTables>(tenant)),
    record: (tenant, recorded, tx) =>
      platform.withTenant(tenant, ({ jobs }) => recordEvents(jobs, recorded, tx)),
    announce: (id) => announcements.announceEvents(id),
    follow,
    maxTenants: config.cachedTenants,
  });
  const refreshServers = (id?: string) =>
    void servers.refresh(id).catch((error: unknown) => {
      log.warn({ err: error }, "The URLs of servers could not be read again");
    });
  const announcements = createAnnouncements({
    broker: installation.broker,
    redis,
    target: { serverId: main.id, database: main.database, role: "listener" },
    control,
    handlers: {
      onTenant(id) {
        catalogue.forget(id);
        configs.forget(id);
        // Its jobs have waited for it to be active.
        jobRunner.wake();
      },
      onErased(id) {
        authority.forgetUser(id);
        caches.forgotten(id, everything);
        events.forget(id);
      },
      onUser: authority.forgetUser,
      onAccount: authority.forgetAccount,
      onMail: () => mailSender.wake(),
      onJob: () => jobRunner.wake(),
      onHostCertificate: certificates.forget,
      onSessionEnded: endedSessions.add,
      onKeys: keys.stale,
      onServer: (id) => refreshServers(id),
      onClientCertificate: clientCertificates.forgetAll,
      onCache: caches.forgotten,
      onEvents: events.forget,
      onAnything() {
        mailSender.wake();
        jobRunner.wake();
        for (const forgetAll of followers) forgetAll();
        refreshServers();
      },
    },
    log,
  });
  const outbound = createOutbound({ allowLoopback: config.env !== "production" });
  const apiKeyUse = createApiKeyUse({
    write: (tenant, usedAt) => noteUse(databaseOf<ApiKeyTables>(tenant), usedAt),
    log: moduleLog(log, "auth"),
  });
  const storage = openStorage(config, installation.secrets);
  const platformChain = createPlatformChain(control, moduleLog(log, "audit"));
  const audit = createAudit({ control, databaseOf, log: moduleLog(log, "audit") }, (tenant) =>
    tenant ? anchors.note(tenant) : platformChain.note(),
  );
  const anchors = createAnchors({ control, databaseOf, log: moduleLog(log, "audit") }, audit.write);
  const templates = mailTemplates(features);
  const jobQueue = createJobQueue({
    broker: installation.broker,
    target: { serverId: main.id, database: main.database, role: "control" },
    control,
  });
  const declaredJobs: ReadonlyMap<string, JobDefinition> = jobsOf([
    ...features,
    { jobs: [scheduleForTenants(jobQueue, (name) => declaredJobs.get(name))] },
  ]);
  const outbox = createOutbox({
    control,
    databaseOf: (tenant) => databaseOf<OutboxTables>(tenant),
    findTenant: (id) =>
      findTenant(
        control,
        { by: "id", value: id },
        "provisioning",
        "active",
        "suspended",
        "deleted",
      ),
    pass: ({ id }, jobs) =>
      jobQueue.add(
        id,
        jobs.map((job) => withRules(job, declaredJobs.get(job.job))),
      ),
    log: moduleLog(log, "jobs"),
  });
  const delivery = createDelivery({ config, control, log, secrets: installation.secrets });
  const usage = createUsageCounts({ control, plans: installation.plans, log });
  const platform = createPlatform({
    config: settingsOf(config),
    control,
    hosts: createHosts({ control, catalogue, certificates, baseDomain: config.baseDomain }),
    certificates,
    clientCertificates,
    dns,
    servers,
    tenants: createTenants({
      control,
      catalogue,
      configs,
      provisioning: installation.provisioning,
      places: createDataPlaces({
        ...installation,
        storage,
        announceErased: (id) => announcements.announceErased(id),
      }),
      audit: audit.write,
      baseDomain: config.baseDomain,
      checkSettings: options.settings?.check,
      defaultPlan: config.defaultPlan,
      deletedTenantDays: config.deletedTenantDays,
      log: moduleLog(log, "tenancy"),
    }),
    audit: audit.write,
    authority,
    caches,
    logs,
    metrics: installation.metrics,
    permissions,
    plans: installation.plans,
    tokens,
    sessions: createSessions({
      control,
      refreshTokens: createRefreshTokens(installation.secrets),
      refreshTtlSeconds: config.refreshTokenDays * 86_400,
      accessTtlSeconds: config.accessTokenSeconds,
      onEnded: endedSessions.add,
    }),
    cookieSessions,
    openSession: createRequestSessions({
      store: createSessionStore(redis),
      secrets: installation.secrets,
      ttlSeconds: config.sessionIdleHours * 3600,
      log: moduleLog(log, "auth"),
    }),
    passwords: createPasswords({
      metrics: installation.metrics,
      concurrency: shareOf(hashesAtATime(), workers),
      algorithm: config.passwordAlgorithm,
      bcryptCost: config.bcryptCost,
      ...config.argon2,
    }),
    factors: createFactors(control, installation.secrets),
    oidc: createOidcClient({
      outbound,
      secrets: installation.secrets,
      allowInsecure: config.env !== "production",
    }),
    mail: createMail({ control, templates, supportEmail: config.supportEmail, workers }),
    delivery,
    storage,
    jobs: createJobs({
      declared: declaredJobs,
      queue: jobQueue,
      outbox,
      count: (tenant) => usage.count(tenant, "jobs"),
    }),
    usage,
    events,
    outbound,
    secretsOf: ({ id }) => tenantSecrets(installation.secrets, id),
    oneTimeTokens: createOneTimeTokens(control),
    async forgetUser(tenant, userId) {
      const id = userId as UserId | undefined; // whoever calls has it of a user
      authority.forgetUser(tenant.id, id);
      await announcements.announceUser(tenant.id, userId);
      if (!id) return;
      // Not by a tag: that leaves the entry, which nobody reads any more, in Redis until it expires.
      await caches.of(tenant.id).delete(profileKey(id));
      await forgetGoneUser({ control, db: databaseOf<UserTables>(tenant) }, tenant.id, id);
    },
    databaseOf,
    log,
  });
  const mailSender = createMailSender({
    control,
    templates,
    delivery,
    platform,
    concurrency: shareOf(mailsAtATime, workers),
    textsOf: (tenant, name) => findOwnTexts(databaseOf<NotificationTables>(tenant), name),
    log: moduleLog(log, "mail"),
  });
  const jobRunner = createJobRunner({
    queue: jobQueue,
    outbox,
    declared: declaredJobs,
    platform,
    concurrency: config.jobsConcurrency,
    tracing: installation.tracing,
    log: moduleLog(log, "jobs"),
  });
  installation.broker.onUp(jobRunner.wake);
  return {
    platform,
    catalogue,
    announcements,
    anchors,
    mailSender,
    jobRunner,
    authenticate: createAuthentication({
      verifyToken: tokens.verify,
      cookieSessions,
      authority,
      isEnded: endedSessions.has,
      onApiKeyUsed: apiKeyUse.note,
    }),
    async close() {
      caches.close();
      configs.close();
      await apiKeyUse.close();
      await audit.settled();
      await platformChain.close();
      await announcements.close();
      await mailSender.close();
      await jobRunner.close();
      await platform.mail.close();
      await usage.close();
      await delivery.close();
      storage.close();
    },
  };
}

const loadKeys = ({ config, control, secrets }: Installation): Promise<SigningKeys> =>
  config.jwtSecret
    ? secretSigningKeys(config.jwtSecret)
    : loadSigningKeys(control, signingKeySealer(secrets));
