/** What a handler gets: its tenant's capabilities, and the parts of the request. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { TenantAudit } from "../../audit/audit.ts";
import type { Cursors } from "../../feature/cursor.ts";
import type { RequestInfo } from "../../feature/feature.ts";
import type { BaseContext, RouteContext } from "../../feature/handler.ts";
import { defaultPageLimit, type Page } from "../../feature/page.ts";
import type { Platform } from "../../feature/platform.ts";
import { TenantCapabilities } from "../../feature/tenant-scope.ts";
import type { Credential } from "../../identity/credential.ts";
import type { Passwords } from "../../identity/passwords.ts";
import type { Permissions } from "../../identity/permissions.ts";
import type { Principal } from "../../identity/principal.ts";
import type { Tenant } from "../../model/tenant.ts";
import { openRequestSession } from "../../sessions/request-session.ts";
import type { OpenedSession } from "../../sessions/session.ts";
import type { Logger } from "../../telemetry/log.ts";
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

export class RequestContext extends TenantCapabilities implements AnyBase {
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
    super(resolved, setting.context === "core" ? undefined : resolved.tenant);
    this.user = resolved.user;
    this.params = request.params;
    this.query = request.query;
    this.body = request.body;
    this.#setting = setting;
    this.#resolved = resolved;
    this.#request = request;
    this.#reply = reply;
    this.precondition = precondition;
  }

  /** What this context is bound to, whatever somebody writes into `tenant`. */
  get #tenant(): Tenant | undefined {
    return this.#setting.context === "core" ? undefined : this.#resolved.tenant;
  }

  get platform(): Platform | undefined {
    // A tenant's handler has no way to another tenant, not even past the types.
    return this.#setting.context === "tenant" ? undefined : this.#resolved.platform;
  }

  get isUnknownTenant(): boolean {
    return this.#resolved.isUnknownTenant === true;
  }

  get credential(): Credential | undefined {
    return this.#resolved.credential;
  }

  get passwords(): Passwords {
    return this.#resolved.platform.passwords.of(this.#tenant);
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

  get audit(): TenantAudit {
    return requestAudit(this.#request, this.#resolved, this.#setting.context);
  }

  /** Whether the handler has written an entry. */
  get audited(): boolean {
    return findState(this.#request)?.audited ?? false;
  }

  get log(): Logger {
    return requestLog(this.#request, this.#setting.log);
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
