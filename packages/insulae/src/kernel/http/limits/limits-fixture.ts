/** A server with limits, and tenants whose users present their tenant's id as their token. */
import { Type } from "typebox";
import { beforeEach, vi } from "vitest";
import type { RateLimits } from "../../../config/config.ts";
import { feature } from "../../feature/feature.ts";
import { CallerRefused, invalidToken } from "../../identity/errors.ts";
import type { Principal } from "../../identity/principal.ts";
import type { TenantId, UserId } from "../../lib/ids.ts";
import type { Tenant } from "../../model/tenant.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { tenantAccessDenied } from "../../tenancy/errors.ts";
import type { HttpServerOptions } from "../server/server.ts";
import { callerFor, testServer } from "../server/test-server.ts";
import type { Identify } from "../state/request-state.ts";
import { createLimiter } from "./limiter.ts";
import { createRequestLimits, type RequestLimitsOptions } from "./request-limits.ts";

const routes = feature("things", {
  routes: (r) => [
    r.get(
      "/things",
      { permission: "public", context: "any", summary: "Things", response: Type.Object({}) },
      () => ({}),
    ),
    r.post(
      "/log-in",
      {
        permission: "public",
        context: "any",
        limit: "credentials",
        audit: { none: "a test" },
        summary: "Logs in",
        response: Type.Object({}),
      },
      () => ({}),
    ),
  ],
});

export const clock = { now: 1_700_000_000_000 };
beforeEach(() => {
  clock.now += 3_600_000;
});

export const tenant = (id: string, plan = "free", limits?: object): Tenant =>
  ({ id: id as TenantId, plan, settings: { ...(limits && { limits }) } }) as unknown as Tenant;

const userOf = ({ id }: Tenant): Principal =>
  ({ kind: "tenant", id: "u" as UserId, tenantId: id }) as unknown as Principal;

const defaults: RateLimits = {
  global: 1_000,
  plans: { free: 6, premium: 60 },
  account: 20,
  anonymous: 10,
  credentials: 3,
};

/** `Bearer <name>` is a user of that tenant; any other token is invalid. */
export function serve(
  tenants: readonly Tenant[],
  limits: Partial<RateLimits> = {},
  more: Partial<HttpServerOptions> = {},
  findTenant: RequestLimitsOptions["findTenant"] = (id) => tenants.find((one) => one.id === id),
) {
  const looked = vi.fn();
  const identify: Identify = ({ headers }) => {
    looked();
    const name =
      headers.authorization?.slice("Bearer ".length) ??
      headers["x-api-key"]?.toString() ??
      headers.cookie?.replace("session=", "") ??
      headers["client-cert"]?.toString();
    if (name === undefined) return callerFor(undefined);
    if (name === "account") {
      return callerFor(undefined, { kind: "core", id: "me" } as unknown as Principal);
    }
    // An invalid token on a route that needs none.
    if (name === "visitor") return callerFor(tenants[0]);
    const found = tenants.find(({ id }) => id === name);
    if (!found) throw invalidToken();
    if (headers["x-tenant"] === "another") {
      throw new CallerRefused(tenantAccessDenied(), userOf(found));
    }
    return callerFor(found, userOf(found));
  };
  const limiter = createLimiter({ clock: () => clock.now });
  const { app } = testServer([routes], {
    identify,
    limits: createRequestLimits({
      limits: { ...defaults, ...limits },
      metrics: createMetrics(),
      limiter,
      findTenant,
    }),
    ...more,
  });
  const ask = async (options: {
    url?: string;
    method?: "GET" | "POST" | "OPTIONS";
    token?: string;
    from?: string;
    headers?: Record<string, string>;
  }) => {
    const { url = "/api/v1/things", method = "GET", token, from = "198.51.100.1" } = options;
    return app.inject({
      method,
      url,
      remoteAddress: from,
      headers: { ...(token && { authorization: `Bearer ${token}` }), ...options.headers },
    });
  };
  /** The statuses of `count` consecutive requests. */
  const statuses = async (count: number, options: Parameters<typeof ask>[0]) => {
    const seen: number[] = [];
    for (let i = 0; i < count; i += 1) seen.push((await ask(options)).statusCode);
    return seen;
  };
  return { app, ask, statuses, looked };
}

export const granted = (statuses: number[]) => statuses.filter((status) => status === 200).length;
export const refused = (statuses: number[]) => statuses.filter((status) => status === 429).length;
