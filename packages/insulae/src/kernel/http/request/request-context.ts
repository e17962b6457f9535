/**
 * What a handler gets. It is made for every request, and most handlers use three or four parts of
 * it; so the parts that cost something are getters, which are made when they are asked for. That is
 * also why this is a class: its getters are made once, not once a request.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { QuotaName } from "../../../config/quotas.ts";
import type { TenantAudit } from "../../audit/audit.ts";
import type { Cache } from "../../cache/cache.ts";
import type { Cursors } from "../../feature/cursor.ts";
import type { Events } from "../../feature/events.ts";
import type { RequestInfo } from "../../feature/feature.ts";
import type { BaseContext, RouteContext } from "../../feature/handler.ts";
import { defaultPageLimit, type Page } from "../../feature/page.ts";
import type { Platform } from "../../feature/platform.ts";
import type { Credential } from "../../identity/credential.ts";
import type { Passwords } from "../../identity/passwords.ts";
import type { Permissions } from "../../identity/permissions.ts";
import type { Principal } from "../../identity/principal.ts";
import type { TenantJobs } from "../../jobs/jobs.ts";
import type { TenantSecrets } from "../../lib/secrets.ts";
import { type TenantMail, tenantMail } from "../../mail/mail.ts";
import type { Outbound } from "../../net/outbound.ts";
import { openRequestSession } from "../../sessions/request-session.ts";
import type { OpenedSession } from "../../sessions/session.ts";
import type { TenantStorage } from "../../storage/storage.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Tenant } from "../../tenancy/tenant.ts";
import type { CountedMetric } from "../../usage/counts.ts";
import { type Caller, findState, requestLog } from "../state/request-state.ts";
import { requestAudit } from "./request-audit.ts";

type AnyBase = Omit<BaseContext<never, never, never, never>, "params" | "query" | "body">;

/** What the contexts of one route share. */
export interface RouteSetting {
  /** `GET /api/v1/contacts`: what cursors are bound to. */
  readonly list: string;
  readonly context: RouteContext;
  readonly statuses: ReadonlySet<number>;
  readonly cursors: Cursors;
  readonly baseUrl: () => string;
  readonly log: Logger;
}

export class RequestContext implements AnyBase {
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly precondition: ((current: unknown) => void) | undefined;
  readonly #setting: RouteSetting;
  readonly #resolved: Caller;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  #session: OpenedSession | undefined;

  constructor(
    setting: RouteSetting,
    resolved: Caller,
    request: FastifyRequest,
    reply: FastifyReply,
    precondition?: (current: unknown) => void,
  ) {
    this.user = resolved.user;
    this.params = request.params;
    this.query = request.query;
    this.body = request.body;
    this.#setting = setting;
    this.#resolved = resolved;
    this.#request = request;
    this.#reply = reply;
    this.tenant = this.#tenant;
    this.precondition = precondition;
  }

  /** What this context is bound to, whatever somebody writes into `tenant`. */
  get #tenant(): Tenant | undefined {
    return this.#setting.context === "core" ? undefined : this.#resolved.tenant;
  }

  get db(): Caller["db"] {
    return this.#setting.context === "core" ? undefined : this.#resolved.db;
  }

  get platform(): Platform | undefined {
    // A tenant's handler has no way to another tenant, not even past the types.
    return this.#setting.context === "tenant" ? undefined : this.#resolved.platform;
  }

  get events(): Events<Record<never, never>> | undefined {
    const [tenant, db] = [this.#tenant, this.db];
    return tenant && db && this.#resolved.platform.events.of(tenant, db);
  }

  get isUnknownTenant(): boolean {
    return this.#resolved.isUnknownTenant === true;
  }

  get outbound(): Outbound {
    return this.#resolved.platform.outbound;
  }

  get secrets(): TenantSecrets | undefined {
    return this.#tenant && this.#resolved.platform.secretsOf(this.#tenant);
  }

  get credential(): Credential | undefined {
    return this.#resolved.credential;
  }

  get passwords(): Passwords {
    return this.#resolved.platform.passwords.of(this.#tenant);
  }

  get mail(): TenantMail {
    return tenantMail(this.#resolved.platform.mail, this.#tenant);
  }

  get cache(): Cache | undefined {
    return this.#tenant && this.#setting.context === "tenant"
      ? this.#resolved.platform.caches.of(this.#tenant.id)
      : undefined;
  }

  get jobs(): TenantJobs | undefined {
    const tenant = this.#tenant;
    if (!tenant || this.#setting.context !== "tenant") return undefined;
    const { jobs } = this.#resolved.platform;
    return { send: (job, data, options) => jobs.sendTo(tenant, job, data, options) };
  }

  get storage(): TenantStorage | undefined {
    return this.#tenant && this.#resolved.platform.storage.of(this.#tenant);
  }

  get countUsage(): ((metric: CountedMetric) => void) | undefined {
    const tenant = this.#tenant;
    if (!tenant || this.#setting.context !== "tenant") return undefined;
    return (metric) => this.#resolved.platform.usage.count(tenant, metric);
  }

  get session(): OpenedSession | undefined {
    if (this.#setting.context !== "tenant") return undefined;
    const { openSession, cookieSessions } = this.#resolved.platform;
    this.#session ??= openRequestSession(openSession, this.#resolved, {
      cookies: this.#request.headers.cookie,
      setHeader: this.header,
      ttlSeconds: cookieSessions.maxAgeSeconds,
    });
    return this.#session;
  }

  /** Saves the session, if the handler has asked for it; undefined if there is nothing to wait for. */
  finish(): Promise<void> | undefined {
    return this.#session?.save();
  }

  get permissions(): Permissions {
    return this.#resolved.platform.permissions;
  }

  get forgetUser(): (userId?: string) => Promise<void> {
    const { tenant, platform } = this.#resolved;
    return async (userId) => tenant && platform.forgetUser(tenant, userId);
  }

  get audit(): TenantAudit {
    return requestAudit(this.#request, this.#resolved, this.#setting.context);
  }

  /** Whether the handler has written an entry. */
  get audited(): boolean {
    return findState(this.#request)?.audited ?? false;
  }

  get quota(): ((name: QuotaName) => number | undefined) | undefined {
    const tenant = this.#tenant;
    const { plans } = this.#resolved.platform;
    return tenant && ((name) => plans.quotaOf(tenant, name));
  }

  get log(): Logger {
    return requestLog(this.#request, this.#setting.log);
  }

  get metrics(): Metrics {
    return this.#resolved.platform.metrics;
  }

  get request(): RequestInfo {
    const { id, method, host, headers, ip } = this.#request;
    const { address = ip } = findState(this.#request)?.client ?? {};
    return { id, method, ip: address, host, headers, baseUrl: this.#setting.baseUrl() };
  }

  get header(): (name: string, value: string) => void {
    return (name, value) => {
      this.#reply.header(name, value);
    };
  }

  get status(): (code: number) => void {
    return (code) => {
      if (!this.#setting.statuses.has(code)) {
        throw new Error(`${this.#setting.list} declares no response for status ${code}`);
      }
      this.#reply.code(code);
    };
  }

  get page(): Page {
    // Validated against pageQuery(), whose parts these are.
    const query = this.query as { limit?: number; cursor?: string; sort?: string; order?: string };
    const cursor = this.#setting.cursors({
      tenantId: this.#tenant?.id ?? "",
      list: this.#setting.list,
      order: `${query.sort ?? ""} ${query.order ?? ""}`,
    });
    return {
      limit: query.limit ?? defaultPageLimit,
      after: query.cursor === undefined ? [] : cursor.decode(query.cursor),
      cursor,
    };
  }
}
