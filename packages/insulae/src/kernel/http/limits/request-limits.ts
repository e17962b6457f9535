/**
 * Which buckets a request is charged to: once to the installation's, and once to
 *
 *   the client's, for log-in and the like     `limit: "credentials"`   before anything is looked up
 *   the client's, where there are no credentials                       before anything is looked up
 *   the tenant's, for one of its users                                 once it is known who asks
 *   the account's, outside tenants                                     once it is known who asks
 *   the client's, where the credentials are no good                    once that is known
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
import { ownLimit } from "../../tenancy/plans.ts";
import type { Tenant, TenantId } from "../../tenancy/tenant.ts";
import { tenantKey } from "../../tenant-keys.ts";
import { findState, type Resolve, type ResolvedRequest } from "../request-state.ts";
import { createGoodCredentials } from "./good-credentials.ts";
import type { Limiter } from "./limiter.ts";
import type { Charge, Outcome, Policy } from "./local-buckets.ts";
import { rateHeaders, retryAfterSeconds } from "./rate-headers.ts";

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
  for (const policy of ["global", "tenant", "account", "anonymous", "credentials"]) {
    metrics.counter(refusals, { policy });
  }
  const plans = new Map(Object.entries(limits.plans));
  const all = charge("global", undefined, limits.global);
  const good = createGoodCredentials();

  const clientCharge = (request: FastifyRequest, policy: "anonymous" | "credentials") =>
    charge(policy, undefined, limits[policy], findState(request)?.client.block);

  const callerCharge = (request: FastifyRequest, { tenant, user }: ResolvedRequest) => {
    if (!user) return clientCharge(request, "anonymous");
    if (user.kind === "core") return charge("account", undefined, limits.account, user.id);
    return charge("tenant", user.tenantId, tenantRate(plans, tenant));
  };

  /** Takes from the installation's bucket and this one, where they are limited. */
  const take = (reply: FastifyReply, own: Charge | undefined): MaybePromise<void> => {
    const charges = [all, own].filter((one) => one !== undefined);
    if (charges.length === 0) return;
    return chain(limiter.take(charges), (outcome) => tell(reply, charges, outcome, countRefused));
  };

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
    stranger: (request, reply) => take(reply, clientCharge(request, "anonymous")),
    gate(request, reply) {
      const stranger = clientCharge(request, "anonymous");
      const refusal = stranger && limiter.refusal([stranger]);
      if (refusal && !good.has(request)) tell(reply, [stranger], refusal, countRefused);
    },
    around(request, reply, route, resolve) {
      const { limit } = route.options;
      if (limit || !good.shown(request)) {
        const paid = take(reply, clientCharge(request, limit ?? "anonymous"));
        return chain(paid, () => resolve(request, route));
      }
      return chain(
        atOwnCost(request, reply, () => resolve(request, route)),
        (found) => {
          if (found.user) good.add(request);
          return chain(take(reply, callerCharge(request, found)), () => {
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

/** What platform administrators set for this tenant, or what its plan says. */
function tenantRate(plans: ReadonlyMap<string, number>, tenant: Tenant | undefined): number {
  const own = tenant && ownLimit(tenant, "requests_per_minute");
  if (own !== undefined) return Math.min(own, 1_000_000_000);
  return plans.get(tenant?.plan ?? "") ?? plans.get("free") ?? 0;
}

/** Tells the client of the bucket that refused it, or of its own, which comes last. */
function tell(
  reply: FastifyReply,
  charges: readonly Charge[],
  { refused, spent }: Outcome,
  countRefused: (policy: Policy) => void,
): void {
  const index = refused >= 0 ? refused : charges.length - 1;
  const [told, missing = 0] = [charges[index], spent[index]];
  // What is left for all is nobody's business, while there is something left.
  if (!told || (told.policy === "global" && refused < 0)) return;
  const headers = rateHeaders(told, missing, Date.now());
  for (const [name, value] of headers) reply.header(name, value);
  if (refused < 0) return;
  countRefused(told.policy);
  const retryAfter = String(retryAfterSeconds(told.perMinute, missing));
  throw rateLimitExceeded({ headers: { "retry-after": retryAfter } });
}

/** Nothing is limited: for what a load balancer asks. */
export const unlimited: RequestLimits = {
  gate() {},
  atOwnCost: (_request, _reply, work) => work(),
  around: (request, _reply, route, resolve) => resolve(request, route),
  stranger() {},
};
