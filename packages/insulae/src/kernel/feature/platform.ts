import type { Kysely } from "kysely";
import type { QuotaName } from "../../config/quotas.ts";
import type { Settings } from "../../config/settings.ts";
import type { Audit, WriteAudit } from "../audit/audit.ts";
import type { Cache, Caches } from "../cache/cache.ts";
import type { TenantDatabase } from "../data/tenant-database.ts";
import type { Delivery } from "../delivery/message.ts";
import type { Authority } from "../identity/authority.ts";
import type { CookieSessions } from "../identity/cookie-sessions.ts";
import type { Factors } from "../identity/factors/factors.ts";
import { type Maker, permissionsOfMaker } from "../identity/makers.ts";
import type { OidcClient } from "../identity/oidc.ts";
import type { OneTimeTokens } from "../identity/one-time-tokens.ts";
import type { Passwords } from "../identity/passwords.ts";
import type { Permissions } from "../identity/permissions.ts";
import type { Sessions } from "../identity/sessions.ts";
import type { Tokens } from "../identity/tokens.ts";
import type { PlatformJobs, TenantJobs } from "../jobs/jobs.ts";
import type { TenantSecrets } from "../lib/secrets.ts";
import { type Mail, type TenantMail, tenantMail } from "../mail/mail.ts";
import type { Dns } from "../net/dns.ts";
import type { Outbound } from "../net/outbound.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { OpenedSession, OpenSession } from "../sessions/session.ts";
import type { Storage, TenantStorage } from "../storage/storage.ts";
import { type Logger, ownedLog } from "../telemetry/log.ts";
import type { LogHub } from "../telemetry/log-hub.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Hosts } from "../tenancy/hosts.ts";
import type { Plans } from "../tenancy/plans.ts";
import type { Servers } from "../tenancy/servers.ts";
import type { Tenant } from "../tenancy/tenant.ts";
import type { Tenants } from "../tenancy/tenants.ts";
import type { ClientCertificates } from "../tls/client-certificates.ts";
import type { HostCertificates } from "../tls/host-certificates.ts";
import type { UsageCounts } from "../usage/counts.ts";
import type { EventService, Events } from "./events.ts";

/** What a job or a script works with inside one tenant. */
export interface TenantScope<Tables> {
  readonly tenant: Tenant;
  readonly db: TenantDatabase<Tables>;
  /** The tenant's part of where files are. */
  readonly storage: TenantStorage;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** What the tenant keeps to save itself work. */
  readonly cache: Cache;
  /** Sends mail about the tenant. */
  readonly mail: TenantMail;
  /** Hands messages to those who bring them. */
  readonly delivery: Pick<Delivery, "mail" | "text" | "push">;
  /** Sends jobs of the tenant. */
  readonly jobs: TenantJobs;
  /** Writes to the tenant's audit log; the actor is `system`. */
  readonly audit: Audit;
  /** Tells of changes whoever wants to know. */
  readonly events: Events<Tables>;
  /** Asks addresses that the tenant has chosen: public ones only. */
  readonly outbound: Outbound;
  /** Seals what the tenant's rows keep of others' secrets. */
  readonly secrets: TenantSecrets;
  /** The session of a user or visitor of the tenant, by its `id`; `save()` it after changes. */
  readonly session: (id: string) => OpenedSession;
  /** Makes every node forget what it cached of this user (without an id: of all the tenant's users). */
  readonly forgetUser: (userId?: string) => Promise<void>;
  /** How much of it the tenant's plan allows; undefined: as much as it likes. */
  readonly quota: (name: QuotaName) => number | undefined;
  /** What whoever has set something up may do at present; undefined: they are gone. */
  readonly permissionsOf: (maker: Maker) => Promise<ReadonlySet<string> | undefined>;
}

/** What cross-tenant work gets: the control plane, and each tenant in turn, in its own scope. */
export interface PlatformScope {
  readonly control: Kysely<ControlTables>;
  readonly mail: Mail;
  readonly jobs: PlatformJobs;
  readonly storage: Storage;
  /** Runs `fn` once for each active tenant, one after another, each in its own scope. */
  readonly eachTenant: <Tables>(fn: (scope: TenantScope<Tables>) => Promise<void>) => Promise<void>;
}

/**
 * The services of the control plane. Routes get it only where no tenant's rows are at stake
 * (`context: "core"` or `"any"`): a handler that works for a tenant has no way to another one.
 */
export interface Platform {
  /** Without secrets. */
  readonly config: Settings;
  readonly control: Kysely<ControlTables>;
  readonly tenants: Tenants;
  readonly hosts: Hosts;
  /** The certificates of hosts, for the server that ends TLS itself. */
  readonly certificates: HostCertificates;
  /** Which tenants' the client certificates (mTLS) are. */
  readonly clientCertificates: ClientCertificates;
  /** What the public DNS says. */
  readonly dns: Dns;
  readonly servers: Servers;
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  /** Those that browsers show by a cookie. */
  readonly cookieSessions: CookieSessions;
  /** What handlers keep of somebody between requests. */
  readonly openSession: OpenSession;
  readonly passwords: Passwords;
  /** What people have beside a password. */
  readonly factors: Factors;
  /** Signing in with outside OpenID Connect providers. */
  readonly oidc: OidcClient;
  /**
   * Writes to a tenant's audit log or the platform's, outside a request. In one, the handler's own
   * `audit` knows who and from where.
   */
  readonly audit: WriteAudit;
  readonly mail: Mail;
  readonly delivery: Delivery;
  readonly jobs: PlatformJobs;
  /** Where files are. */
  readonly storage: Storage;
  readonly events: EventService;
  readonly outbound: Outbound;
  readonly secretsOf: (tenant: Tenant) => TenantSecrets;
  /** Tokens that are sent to somebody and work once. */
  readonly oneTimeTokens: OneTimeTokens;
  /** What users and accounts may do at present. */
  readonly authority: Authority;
  /** What tenants keep to save themselves work. */
  readonly caches: Caches;
  /** The log's lines, as they are written. */
  readonly logs: LogHub;
  /** Figures about this process, for `/metrics`. */
  readonly metrics: Metrics;
  /** What tenants may have and do by their plans. */
  readonly plans: Plans;
  /** Counts what tenants do. */
  readonly usage: UsageCounts;
  /** What permissions there are, and which roles hold them. */
  readonly permissions: Permissions;
  /** Makes every node forget what it cached of this user (without an id: of all the tenant's users). */
  readonly forgetUser: (tenant: Tenant, userId?: string) => Promise<void>;
  /** Runs `fn` in the tenant's scope. @param tenant its id, key, slug or number. */
  readonly withTenant: <Tables, Result>(
    tenant: Tenant | string,
    fn: (scope: TenantScope<Tables>) => Promise<Result>,
  ) => Promise<Result>;
  /** Cross-tenant work. The reason is written to the platform's audit log before `fn` runs. */
  readonly withPlatform: <Result>(
    reason: string,
    fn: (scope: PlatformScope) => Promise<Result>,
  ) => Promise<Result>;
}

export interface PlatformOptions extends Omit<Platform, "withTenant" | "withPlatform"> {
  readonly databaseOf: <Tables>(tenant: Tenant) => TenantDatabase<Tables>;
  readonly log: Logger;
}

export function createPlatform(options: PlatformOptions): Platform {
  const { databaseOf, log, ...services } = options;
  const { control, tenants, audit } = services;

  const scopeOf = <Tables>(tenant: Tenant): TenantScope<Tables> => ({
    tenant,
    db: databaseOf<Tables>(tenant),
    log: ownedLog(log, { tenant_id: tenant.id }, tenant.id),
    storage: services.storage.of(tenant),
    metrics: services.metrics,
    cache: services.caches.of(tenant.id),
    mail: tenantMail(services.mail, tenant),
    delivery: services.delivery,
    jobs: {
      send: (job, data, options) => services.jobs.sendTo(tenant, job, data, options),
    },
    audit: (event, tx) => audit({ ...event, tenant }, tx),
    events: services.events.of(tenant, databaseOf<Tables>(tenant)),
    outbound: services.outbound,
    secrets: services.secretsOf(tenant),
    session: (id) => services.openSession({ tenantId: tenant.id, db: databaseOf(tenant), id }),
    forgetUser: (userId) => services.forgetUser(tenant, userId),
    quota: (name) => services.plans.quotaOf(tenant, name),
    permissionsOf: (maker) => permissionsOfMaker(services, tenant, maker),
  });

  return {
    ...services,
    async withTenant(tenant, fn) {
      return fn(scopeOf(typeof tenant === "string" ? await tenants.get(tenant) : tenant));
    },
    async withPlatform(reason, fn) {
      await audit({ action: "platform.scope_entered", detail: { reason } });
      log.warn({ reason }, "Cross-tenant work");
      return fn({
        control,
        mail: services.mail,
        jobs: services.jobs,
        storage: services.storage,
        async eachTenant(work) {
          for (let after: string | undefined; ; ) {
            const page = await tenants.list({ status: "active", after, limit: 200 });
            for (const tenant of page) await work(scopeOf(tenant));
            after = page.at(-1)?.id;
            if (after === undefined) return;
          }
        },
      });
    },
  };
}
