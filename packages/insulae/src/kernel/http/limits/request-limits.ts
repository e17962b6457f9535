/**
 * Which buckets a request is charged to: once to the installation's, and once to
 *
 *   the client's, for log-in and the like     `limit: "credentials"`   before anything is looked up
 *   the client's, where there are no credentials                       before anything is looked up
 *   the tenant's, for one of its users                                 once it is known who asks
 *   the account's, outside tenants                                     once it is known who asks
 *   the client's, where the credentials are no good                    once that is known
 *
 * and to the host's, where that has a limit of its own: it is everybody's at that host.
 *
 * Whoever shows credentials could have them looked up for ever. So while the client's bucket is empty,
 * only those are looked at that were good before. Strangers don't spend what a tenant has: else
 * anybody could spend it for them.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { RateLimits } from "../../../config.ts";
import { AppError, defineError } from "../../errors.ts";
import type { Route } from "../../feature.ts";
import { chain, type MaybePromise } from "../../maybe-promise.ts";
import { counter, type Metrics } from "../../telemetry/metrics.ts";
import { hostSettingsOf } from "../../tenancy/host-settings.ts";
import { canonicalHost } from "../../tenancy/hostname.ts";
import { ownLimit } from "../../tenancy/plans.ts";
import type { Tenant, TenantId } from "../../tenancy/tenant.ts";
import { tenantKey } from "../../tenant-keys.ts";
import { findState, type Resolve, type ResolvedRequest } from "../request-state.ts";
import { createConcurrency, type Queue } from "./concurrency.ts";
import { createGoodCredentials } from "./good-credentials.ts";
import { createHold } from "./hold.ts";
import type { Limiter } from "./limiter.ts";
import type { Charge, Outcome, Policy } from "./local-buckets.ts";
import { rateHeaders, remainingOf, retryAfterSeconds, windowSeconds } from "./rate-headers.ts";

export const rateLimitExceeded = defineError("rate_limit_exceeded", 429, "Rate limit exceeded");

const refusals = counter(
  "insulae_rate_limited_requests_total",
  "Requests that a rate limit refused, by the bucket that was empty",
  ["policy"],
);

export interface RequestLimits {
  /** Refuses a client whose bucket is empty, unless what it shows was good before. */
  gate(request: FastifyRequest, reply: FastifyReply): void;
  /** Charges the client if the work fails, and it is their fault. @throws what the work throws */
  atOwnCost<T>(
    request: FastifyRequest,
    reply: FastifyReply,
    work: () => MaybePromise<T>,
  ): MaybePromise<T>;
  /** Finds out who asks, and charges them. @throws what `resolve` throws */
  around(
    request: FastifyRequest,
    reply: FastifyReply,
    route: Route,
    resolve: Resolve,
  ): MaybePromise<ResolvedRequest>;
  /** Has the request wait while its tenant has enough others at work. */
  readonly queue: Queue;
  /** For what is answered to everybody alike. */
  stranger(request: FastifyRequest, reply: FastifyReply): MaybePromise<void>;
}

export interface RequestLimitsOptions {
  readonly limits: RateLimits;
  readonly metrics: Metrics;
  readonly limiter: Limiter;
  /** Counts a request of a tenant's user that is let in. @throws quotaExceeded */
  readonly count?: (tenant: Tenant) => void;
}

/** Limits. Each of its functions throws rateLimitExceeded, or rejects with it. */
export function createRequestLimits(options: RequestLimitsOptions): RequestLimits {
  const { limits, limiter, metrics, count } = options;
  const countRefused = (policy: Policy) => metrics.counter(refusals, { policy }).add();
  // From the beginning, so that the first refusal is an increase.
  for (const policy of ["global", "tenant", "host", "account", "anonymous", "credentials"]) {
    metrics.counter(refusals, { policy });
  }
  const plans = new Map(Object.entries(limits.plans));
  const all = charge("global", undefined, limits.global);
  const good = createGoodCredentials();
  const hold = createHold();

  const clientCharge = (request: FastifyRequest, policy: "anonymous" | "credentials") =>
    charge(policy, undefined, limits[policy], findState(request)?.client.block);

  const callerCharge = (request: FastifyRequest, { tenant, user }: ResolvedRequest) => {
    if (!user) return clientCharge(request, "anonymous");
    if (user.kind === "core") return charge("account", undefined, limits.account, user.id);
    return charge("tenant", user.tenantId, tenantRate(plans, tenant));
  };

  /** Takes from these buckets, where they are limited. */
  const pay = (reply: FastifyReply, some: readonly (Charge | undefined)[]): MaybePromise<void> => {
    const charges = some.filter((one) => one !== undefined);
    if (charges.length === 0) return;
    return chain(limiter.take(charges), (outcome) => {
      const refusal = tell(reply, charges, outcome, countRefused);
      if (!refusal) return;
      return chain(hold(), () => {
        throw refusal;
      });
    });
  };
  /** Takes from the installation's bucket and these. */
  const take = (reply: FastifyReply, ...own: readonly (Charge | undefined)[]) =>
    pay(reply, [all, ...own]);

  const atOwnCost: RequestLimits["atOwnCost"] = (request, reply, work) => {
    const failed = (error: unknown): MaybePromise<never> => {
      const theirs = error instanceof AppError && error.status < 500;
      const paid = theirs ? take(reply, clientCharge(request, "anonymous")) : undefined;
      return chain(paid, () => {
        throw error;
      });
    };
    try {
      const done = work();
      return done instanceof Promise ? done.catch(failed) : done;
    } catch (error) {
      return failed(error);
    }
  };

  return {
    atOwnCost,
    queue: createConcurrency({ metrics }),
    stranger: (request, reply) => take(reply, clientCharge(request, "anonymous")),
    gate(request, reply) {
      const stranger = clientCharge(request, "anonymous");
      const outcome = stranger && limiter.refusal([stranger]);
      if (!outcome || good.has(request)) return;
      const refusal = tell(reply, [stranger], outcome, countRefused);
      if (refusal) throw refusal;
    },
    around(request, reply, route, resolve) {
      const { limit } = route.options;
      if (limit || !good.shown(request)) {
        const paid = take(reply, clientCharge(request, limit ?? "anonymous"));
        return chain(
          chain(paid, () => resolve(request, route)),
          (found) => {
            const host = hostCharge(request, found.tenant);
            return host ? chain(pay(reply, [host]), () => found) : found;
          },
        );
      }
      return chain(
        atOwnCost(request, reply, () => resolve(request, route)),
        (found) => {
          if (found.user) good.add(request);
          const host = hostCharge(request, found.tenant);
          return chain(take(reply, callerCharge(request, found), host), () => {
            if (found.tenant && found.user && found.user.kind !== "core") count?.(found.tenant);
            return found;
          });
        },
      );
    },
  };
}

/** No charge where there is no limit. */
function charge(
  policy: Policy,
  tenant: TenantId | undefined,
  perMinute: number,
  name = "",
): Charge | undefined {
  return perMinute === 0
    ? undefined
    : { policy, key: tenantKey(tenant, "limit", policy, name), perMinute };
}

/** No charge where the host has no limit of its own. */
function hostCharge({ host }: FastifyRequest, tenant: Tenant | undefined): Charge | undefined {
  const limit = tenant?.hostSettings && hostSettingsOf(tenant, host)?.rateLimit;
  if (!limit) return undefined;
  const { requestsPerSecond, burst = Math.max(1, Math.ceil(requestsPerSecond)) } = limit;
  return {
    policy: "host",
    key: tenantKey(tenant.id, "limit", "host", canonicalHost(host)),
    perMinute: Math.max(1, Math.round(requestsPerSecond * 60)),
    size: burst,
  };
}

/** What platform administrators set for this tenant, or what its plan says. */
function tenantRate(plans: ReadonlyMap<string, number>, tenant: Tenant | undefined): number {
  const own = tenant && ownLimit(tenant, "requests_per_minute");
  if (own !== undefined) return Math.min(own, 1_000_000_000);
  return plans.get(tenant?.plan ?? "") ?? plans.get("free") ?? 0;
}

/**
 * Tells the client of the bucket that refused it, or of that with the least left of its own.
 *
 * @returns the refusal, if it is one.
 */
function tell(
  reply: FastifyReply,
  charges: readonly Charge[],
  { refused, spent }: Outcome,
  countRefused: (policy: Policy) => void,
): AppError | undefined {
  const index = refused >= 0 ? refused : scarcest(charges, spent);
  const [told, missing = 0] = [charges[index], spent[index]];
  // What is left for all is nobody's business, while there is something left.
  if (!told || (told.policy === "global" && refused < 0)) return undefined;
  const headers = rateHeaders(told, missing, Date.now());
  for (const [name, value] of headers) reply.header(name, value);
  if (refused < 0) return undefined;
  countRefused(told.policy);
  const retryAfter = String(retryAfterSeconds(told, missing));
  return rateLimitExceeded({
    headers: { "retry-after": retryAfter },
    members: { limit: told.size ?? told.perMinute, window: windowSeconds(told) },
  });
}

/** The caller's own come after the installation's. */
function scarcest(charges: readonly Charge[], spent: readonly number[]): number {
  let found = charges.length - 1;
  if (found < 2) return found;
  for (const [index, charge] of charges.entries()) {
    const least = charges[found];
    if (!least || charge.policy === "global") continue;
    if (remainingOf(charge, spent[index] ?? 0) < remainingOf(least, spent[found] ?? 0)) {
      found = index;
    }
  }
  return found;
}

/** Nothing is limited: for what a load balancer asks. */
export const unlimited: RequestLimits = {
  gate() {},
  atOwnCost: (_request, _reply, work) => work(),
  around: (request, _reply, route, resolve) => resolve(request, route),
  queue: () => undefined,
  stranger() {},
};
