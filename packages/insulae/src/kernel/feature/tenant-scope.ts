/**
 * The capabilities of a tenant, for requests, jobs and scripts alike. To add one, add a getter to
 * `TenantCapabilities` and a line to its interface.
 *
 * A class with getters, because one is made per request and a handler uses three or four members:
 * expensive ones are created on first use.
 */
import type { QuotaName } from "../../config/quotas.ts";
import type { Audit } from "../audit/audit.ts";
import type { Cache } from "../cache/cache.ts";
import type { TenantDatabase } from "../data/tenant-database.ts";
import type { Delivery } from "../delivery/message.ts";
import { type Maker, permissionsOfMaker } from "../identity/makers.ts";
import type { TenantJobs } from "../jobs/jobs.ts";
import type { TenantSecrets } from "../lib/secrets.ts";
import { type TenantMail, tenantMail } from "../mail/mail.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Outbound } from "../net/outbound.ts";
import type { OpenedSession } from "../sessions/session.ts";
import type { TenantStorage } from "../storage/storage.ts";
import { type Logger, ownedLog } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type {
  DataServices,
  IdentityServices,
  MessagingServices,
  RecordingServices,
  TenancyServices,
} from "./capabilities.ts";
import type { Events } from "./events.ts";

/** What handlers, jobs and scripts get for their tenant. */
export interface ForTenant<Tables> {
  readonly tenant: Tenant;
  readonly db: TenantDatabase<Tables>;
  readonly log: Logger;
  /** Records what `counter()`, `gauge()` and `histogram()` declare, for `/metrics`. */
  readonly metrics: Metrics;
  /** The tenant's files. */
  readonly storage: TenantStorage;
  /** The tenant's cache. */
  readonly cache: Cache;
  /** Sends e-mail about the tenant. */
  readonly mail: TenantMail;
  /** Sends the tenant's jobs. */
  readonly jobs: TenantJobs;
  /** Writes to the tenant's audit log; outside a request the actor is `system`. */
  readonly audit: Audit;
  /** Publishes events: `events.recording("contact.created", …)`. */
  readonly events: Events<Tables>;
  /** HTTP client for tenant-supplied URLs: connects to public addresses only (SSRF-safe). */
  readonly outbound: Outbound;
  /** Encrypts third-party secrets stored in the tenant's rows. */
  readonly secrets: TenantSecrets;
  /** Clears every node's cache of this user (without an id: of all the tenant's users). */
  readonly forgetUser: (userId?: string) => Promise<void>;
  /** The quota of the tenant's plan; undefined: unlimited. */
  readonly quota: (name: QuotaName) => number | undefined;
}

/** What a job or script gets for one tenant. */
export interface TenantScope<Tables> extends ForTenant<Tables> {
  /** Sends messages directly through the configured channels. */
  readonly delivery: Pick<Delivery, "mail" | "text" | "push">;
  /** The session of a user or visitor of the tenant, by its `id`; `save()` it after changes. */
  readonly session: (id: string) => OpenedSession;
  /** The maker's current permissions; undefined: they are gone. */
  readonly permissionsOf: (maker: Maker) => Promise<ReadonlySet<string> | undefined>;
}

/** The services behind a tenant's capabilities. */
export interface ScopeServices
  extends DataServices,
    MessagingServices,
    Pick<RecordingServices, "audit" | "metrics">,
    Pick<TenancyServices, "plans">,
    Pick<IdentityServices, "authority" | "forgetUser"> {}

/** `db` and `platform` may be getters: they are read only when used. */
export interface ScopeSource<Tables> {
  readonly tenant: Tenant | undefined;
  readonly db: TenantDatabase<Tables> | undefined;
  readonly platform: ScopeServices;
}

/** A tenant's capabilities; without a tenant, those that need one are undefined. */
export class TenantCapabilities<Tables = Record<never, never>> {
  readonly tenant: Tenant | undefined;
  readonly #source: ScopeSource<Tables>;
  /** The tenant it is bound to, even if somebody overwrites `tenant`. */
  readonly #tenant: Tenant | undefined;

  constructor(source: ScopeSource<Tables>, tenant: Tenant | undefined) {
    this.tenant = tenant;
    this.#source = source;
    this.#tenant = tenant;
  }

  get db(): TenantDatabase<Tables> | undefined {
    return this.#tenant && this.#source.db;
  }

  get metrics(): Metrics {
    return this.#source.platform.metrics;
  }

  get storage(): TenantStorage | undefined {
    return this.#tenant && this.#source.platform.storage.of(this.#tenant);
  }

  get cache(): Cache | undefined {
    return this.#tenant && this.#source.platform.caches.of(this.#tenant.id);
  }

  get mail(): TenantMail {
    return tenantMail(this.#source.platform.mail, this.#tenant);
  }

  get jobs(): TenantJobs | undefined {
    const tenant = this.#tenant;
    const { jobs } = this.#source.platform;
    return tenant && { send: (job, data, options) => jobs.sendTo(tenant, job, data, options) };
  }

  get events(): Events<Tables> | undefined {
    const { db } = this;
    return this.#tenant && db && this.#source.platform.events.of(this.#tenant, db);
  }

  get outbound(): Outbound {
    return this.#source.platform.outbound;
  }

  get secrets(): TenantSecrets | undefined {
    return this.#tenant && this.#source.platform.secretsOf(this.#tenant);
  }

  get forgetUser(): (userId?: string) => Promise<void> {
    const tenant = this.#tenant;
    const { forgetUser } = this.#source.platform;
    return async (userId) => tenant && forgetUser(tenant, userId);
  }

  get quota(): ((name: QuotaName) => number | undefined) | undefined {
    const tenant = this.#tenant;
    const { plans } = this.#source.platform;
    return tenant && ((name) => plans.quotaOf(tenant, name));
  }
}

/**
 * The scope of a job or script. Its members are own properties, so that it can be spread.
 *
 * @param root the parent of the scope's log
 */
export function openTenantScope<Tables>(
  platform: ScopeServices,
  tenant: Tenant,
  databaseOf: <Any>(tenant: Tenant) => TenantDatabase<Any>,
  root: Logger,
): TenantScope<Tables> {
  const db = databaseOf<Tables>(tenant);
  const capabilities = new TenantCapabilities({ tenant, db, platform }, tenant);
  const scope: Omit<TenantScope<Tables>, keyof TenantCapabilities<Tables>> = {
    log: ownedLog(root, { tenant_id: tenant.id }, tenant.id),
    audit: (event, tx) => platform.audit({ ...event, tenant }, tx),
    delivery: platform.delivery,
    session: (id) => platform.openSession({ tenantId: tenant.id, db: databaseOf(tenant), id }),
    permissionsOf: (maker) => permissionsOfMaker(platform, tenant, maker),
  };
  const getters = Object.getOwnPropertyDescriptors(TenantCapabilities.prototype);
  const values = Object.entries(getters).flatMap(([name, { get }]) =>
    get ? [[name, get.call(capabilities)] as const] : [],
  );
  // all present: for a tenant none is undefined
  return { tenant, ...scope, ...Object.fromEntries(values) } as TenantScope<Tables>;
}
