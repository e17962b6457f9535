/**
 * Which buckets a request is charged to: once to the installation's, and once to
 *
 *   the client's, for log-in and the like     `limit: "credentials"`   before anything is looked up
 *   the client's, where there are no credentials                       before anything is looked up
 *   the tenant's, for one of its users                                 once it is known who asks
 *   the tenant's second, for a URL that was signed for it              before anything but the tenant is looked up
 *   the account's, outside tenants                                     once it is known who asks
 *   the client's, where the credentials are no good                    once that is known
 *
 * and to the host's, where that has a limit of its own: it is everybody's at that host.
 *
 * A request that will be refused costs next to nothing: the gate looks at the buckets before anybody is
 * looked up. For credentials that were good before, it looks at those that they were charged to; for all others, at the
 * client's. A refusal of somebody who is known (another tenant, a permission they lack) is charged to
 * them like what they are granted, so that it soon becomes a 429, and held back like one while there are
 * many. Strangers don't spend what a tenant has: else anybody could spend it for them.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { RateLimits } from "../../../config/config.ts";
import type { Route } from "../../feature/feature.ts";
import { CallerRefused } from "../../identity/errors.ts";
import { AppError, defineError } from "../../lib/errors.ts";
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import { counter, type Metrics } from "../../telemetry/metrics.ts";
import { tenantInactive } from "../../tenancy/errors.ts";
import type { Tenant, TenantId } from "../../tenancy/tenant.ts";
import { findState, type Resolve, type ResolvedRequest } from "../request/request-state.ts";
import { type ClientPolicy, createCharges, explain, present } from "./charges.ts";
import { createConcurrency, type Queue } from "./concurrency.ts";
import { createGoodCredentials, type Payer, payerOf } from "./good-credentials.ts";
import { createHold } from "./hold.ts";
import type { Limiter } from "./limiter.ts";
import type { Charge, Outcome, Policy } from "./local-buckets.ts";
import { rateHeaders, remainingOf, retryAfterSeconds, windowSeconds } from "./rate-headers.ts";

/** With `policy`, `limit`, `window` and `setting`: which limit it is, and what an operator changes. */
export const rateLimitExceeded = defineError("rate_limit_exceeded", 429, "Rate limit exceeded");

const refusals = counter(
  "insulae_rate_limited_requests_total",
  "Requests that a rate limit refused, by the bucket that was empty",
  ["policy"],
);

/** So many 403 of known callers are answered at once in a second. */
const callersRefusedPerSecond = 500;

export interface RequestLimits {
  /**
   * Refuses whoever would be refused anyway: what they showed was charged to a bucket that is empty now, or
   * they are a stranger whose client's is.
   */
  gate(request: FastifyRequest, reply: FastifyReply, route?: Route): MaybePromise<void>;
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
  /** The tenant as it is now; a promise where it has to be fetched. */
  readonly findTenant: (id: TenantId) => MaybePromise<Tenant | undefined>;
  /** The tenant that the URL of a route with `limit: "signed"` was signed for; undefined: it is not valid. */
  readonly signedFor?: (request: FastifyRequest) => TenantId | undefined;
  /** Counts a request of a tenant's user that is let in. @throws quotaExceeded */
  readonly count?: (tenant: Tenant) => void;
}

/** Limits. Each of its functions throws rateLimitExceeded, or rejects with it. */
export function createRequestLimits(options: RequestLimitsOptions): RequestLimits {
  const { limits, limiter, metrics, findTenant, count, signedFor } = options;
  const countRefused = (policy: Policy) => metrics.counter(refusals, { policy }).add();
  // From the beginning, so that the first refusal is an increase.
  for (const policy of ["global", "tenant", "host", "account", "anonymous", "credentials"]) {
    metrics.counter(refusals, { policy });
  }
  const charges = createCharges(limits);
  const good = createGoodCredentials();
  const hold = createHold();
  const holdCallers = createHold({ perSecond: callersRefusedPerSecond });

  const strangerCharges = (request: FastifyRequest, policy: ClientPolicy) =>
    charges.stranger(findState(request)?.client, policy);

  const payerCharges = (payer: Payer, tenant: Tenant | undefined, host?: Charge) =>
    present([charges.all, charges.payer(payer, tenant), host]);

  /** What a known caller's request would be charged to; undefined where that isn't at hand. */
  const knownCharges = (request: FastifyRequest, payer: Payer): readonly Charge[] | undefined => {
    if (payer.tenantId === undefined) return payerCharges(payer, undefined);
    const tenant = findTenant(payer.tenantId);
    if (tenant instanceof Promise) {
      // Resolving asks for it again, and hears of it if that fails.
      tenant.catch(() => {});
      return undefined;
    }
    if (!tenant) return undefined;
    return payerCharges(payer, tenant, charges.host(request, tenant));
  };

  /** What the request of a signed URL is charged to; undefined where it isn't valid, or its tenant is gone. */
  const signedCharges = (request: FastifyRequest): MaybePromise<readonly Charge[] | undefined> => {
    const id = signedFor?.(request);
    return chain(id && findTenant(id), (tenant) =>
      tenant?.status === "active" ? present([charges.all, charges.signed(tenant)]) : undefined,
    );
  };

  /** What a request would be charged to, as far as can be told before anybody is looked up. */
  const chargesAtGate = (request: FastifyRequest, limit: Route["options"]["limit"]) => {
    if (limit === "signed") {
      return signedFor?.(request) ? undefined : strangerCharges(request, "anonymous");
    }
    if (limit) return strangerCharges(request, limit);
    const payer = good.payer(request);
    if (payer) return knownCharges(request, payer);
    // New credentials may be good ones, for which strangers leave a part of the installation's bucket.
    return good.shown(request)
      ? charges.client(findState(request)?.client, "anonymous")
      : strangerCharges(request, "anonymous");
  };

  /** Refuses, if that is the outcome; sooner or later, so that a flood's retries come slower. */
  const settle = (
    reply: FastifyReply,
    some: readonly Charge[],
    outcome: Outcome,
  ): MaybePromise<void> => {
    const refusal = tell(reply, some, outcome, countRefused);
    if (!refusal) return;
    return chain(hold(), () => {
      throw refusal;
    });
  };
  const take = (reply: FastifyReply, some: readonly Charge[]): MaybePromise<void> =>
    some.length === 0
      ? undefined
      : chain(limiter.take(some), (outcome) => settle(reply, some, outcome));

  /** Whose fault it is pays: the caller, if they are known, or else the client. */
  const payForFailure = (
    request: FastifyRequest,
    reply: FastifyReply,
    error: unknown,
  ): MaybePromise<void> => {
    if (!(error instanceof AppError) || error.status >= 500) return;
    if (error instanceof CallerRefused) {
      const { caller } = error;
      good.add(request, caller);
      const tenant = caller.kind === "core" ? undefined : findTenant(caller.tenantId);
      return chain(tenant, (found) => take(reply, payerCharges(payerOf(caller), found)));
    }
    if (error.status === 401 || error.code === tenantInactive.code) good.forget(request);
    return take(reply, strangerCharges(request, "anonymous"));
  };

  const atOwnCost: RequestLimits["atOwnCost"] = (request, reply, work) => {
    const failed = (error: unknown): MaybePromise<never> =>
      chain(payForFailure(request, reply, error), (): MaybePromise<never> => {
        // Others have few enough before their client's bucket is empty; a plan may grant ten thousand.
        const wait = error instanceof CallerRefused ? holdCallers() : undefined;
        return chain(wait, () => {
          throw error;
        });
      });
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
    stranger: (request, reply) => take(reply, strangerCharges(request, "anonymous")),
    gate(request, reply, route) {
      const some = chargesAtGate(request, route?.options.limit);
      const outcome = some && limiter.refusal(some);
      return outcome && settle(reply, some, outcome);
    },
    around(request, reply, route, resolve) {
      const { limit } = route.options;
      if (limit === "signed") {
        const paid = chain(signedCharges(request), (some) =>
          take(reply, some ?? strangerCharges(request, "anonymous")),
        );
        return chain(paid, () => resolve(request, route));
      }
      if (limit || !good.shown(request)) {
        const paid = take(reply, strangerCharges(request, limit ?? "anonymous"));
        return chain(
          chain(paid, () => resolve(request, route)),
          (found) => {
            const host = charges.host(request, found.tenant);
            return host ? chain(take(reply, [host]), () => found) : found;
          },
        );
      }
      return chain(
        atOwnCost(request, reply, () => resolve(request, route)),
        (found) => {
          const { user, tenant } = found;
          const host = charges.host(request, tenant);
          if (!user) {
            const some = present([...strangerCharges(request, "anonymous"), host]);
            return chain(take(reply, some), () => found);
          }
          good.add(request, user);
          return chain(take(reply, payerCharges(payerOf(user), tenant, host)), () => {
            if (tenant && user.kind !== "core") count?.(tenant);
            return found;
          });
        },
      );
    },
  };
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
  const retryAfter = retryAfterSeconds(told, missing);
  return rateLimitExceeded({
    headers: { "retry-after": String(retryAfter) },
    ...explain(told, windowSeconds(told), retryAfter),
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
