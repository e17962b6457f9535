/** The handler's context: its tenant's capabilities and the parts of the request. */
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

/** What all requests of a route share. */
export interface RouteDeps {
  /** `GET /api/v1/contacts`: cursors are bound to it. */
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
  readonly #route: RouteDeps;
  readonly #caller: Caller;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  #session: OpenedSession | undefined;

  constructor(
    route: RouteDeps,
    caller: Caller,
    request: FastifyRequest,
    reply: FastifyReply,
    precondition?: (current: unknown) => void,
  ) {
    super(caller, route.context === "core" ? undefined : caller.tenant);
    this.user = caller.user;
    this.params = request.params;
    this.query = request.query;
    this.body = request.body;
    this.#route = route;
    this.#caller = caller;
    this.#request = request;
    this.#reply = reply;
    this.precondition = precondition;
  }

  /** The tenant that the context is bound to, even if somebody overwrites `tenant`. */
  get #tenant(): Tenant | undefined {
    return this.#route.context === "core" ? undefined : this.#caller.tenant;
  }

  get platform(): Platform | undefined {
    // A tenant's handler can't reach other tenants, even by bypassing the types.
    return this.#route.context === "tenant" ? undefined : this.#caller.platform;
  }

  get isUnknownTenant(): boolean {
    return this.#caller.isUnknownTenant === true;
  }

  get credential(): Credential | undefined {
    return this.#caller.credential;
  }

  get passwords(): Passwords {
    return this.#caller.platform.passwords.of(this.#tenant);
  }

  get countUsage(): ((metric: CountedMetric) => void) | undefined {
    const tenant = this.#tenant;
    if (!tenant || this.#route.context !== "tenant") return undefined;
    return (metric) => this.#caller.platform.usage.count(tenant, metric);
  }

  get session(): OpenedSession | undefined {
    if (this.#route.context !== "tenant") return undefined;
    const { openSession, cookieSessions } = this.#caller.platform;
    this.#session ??= openRequestSession(openSession, this.#caller, {
      cookies: this.#request.headers.cookie,
      setHeader: this.header,
      ttlSeconds: cookieSessions.maxAgeSeconds,
    });
    return this.#session;
  }

  /** Saves the session if the handler used it; undefined if there is nothing to await. */
  finish(): Promise<void> | undefined {
    return this.#session?.save();
  }

  get permissions(): Permissions {
    return this.#caller.platform.permissions;
  }

  get audit(): TenantAudit {
    return requestAudit(this.#request, this.#caller, this.#route.context);
  }

  /** Whether the handler has written an audit entry. */
  get audited(): boolean {
    return findState(this.#request)?.audited ?? false;
  }

  get log(): Logger {
    return requestLog(this.#request, this.#route.log);
  }

  get request(): RequestInfo {
    const { id, method, host, headers, ip } = this.#request;
    const { address = ip } = findState(this.#request)?.client ?? {};
    return { id, method, ip: address, host, headers, baseUrl: this.#route.baseUrl() };
  }

  get header(): (name: string, value: string) => void {
    return (name, value) => {
      this.#reply.header(name, value);
    };
  }

  get status(): (code: number) => void {
    return (code) => {
      if (!this.#route.statuses.has(code)) {
        throw new Error(`${this.#route.list} declares no response for status ${code}`);
      }
      this.#reply.code(code);
    };
  }

  get page(): Page {
    // validated against pageQuery()
    const query = this.query as { limit?: number; cursor?: string; sort?: string; order?: string };
    const cursor = this.#route.cursors({
      tenantId: this.#tenant?.id ?? "",
      list: this.#route.list,
      order: `${query.sort ?? ""} ${query.order ?? ""}`,
    });
    return {
      limit: query.limit ?? defaultPageLimit,
      after: query.cursor === undefined ? [] : cursor.decode(query.cursor),
      cursor,
    };
  }
}
