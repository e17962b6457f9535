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
 * A request that will be refused costs next to nothing: `refuseIfExhausted` looks at the buckets before anybody is
 * looked up. For credentials that were good before, it looks at those that they were charged to; for all others, at the
 * client's. A refusal of somebody who is known (another tenant, a permission they lack) is charged to
 * them like what they are granted, so that it soon becomes a 429, and delayed like one while there are
 * many. Strangers don't spend what a tenant has: else anybody could spend it for them.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { RateLimits } from "../../../config/config.ts";
import type { Route } from "../../feature/feature.ts";
import { CallerRefused } from "../../identity/errors.ts";
import { AppError } from "../../lib/errors.ts";
import { rateLimitExceeded } from "../../lib/http-errors.ts";
import type { TenantId } from "../../lib/ids.ts";
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import type { Tenant } from "../../model/tenant.ts";
import { counter, type Metrics } from "../../telemetry/metrics.ts";
import { tenantInactive } from "../../tenancy/errors.ts";
import type { Payer, RequestState } from "../state/request-state.ts";
import { createCharges, explain, hostCharge } from "./charges.ts";
import { createKnownCredentials } from "./known-credentials.ts";
import type { Limiter } from "./limiter.ts";
import type { Charge, Outcome, Policy } from "./local-buckets.ts";
import { rateHeaders, remainingOf, retryAfterSeconds, windowSeconds } from "./rate-headers.ts";
import { createRefusalDelay } from "./refusal-delay.ts";
import { createTenantThrottle, type TenantThrottle } from "./tenant-throttle.ts";

const refusals = counter(
  "insulae_rate_limited_requests_total",
  "Requests that a rate limit refused, by the bucket that was empty",
  ["policy"],
);

/** So many 403 of known callers are answered at once in a second. */
const callersRefusedPerSecond = 500;

type Limit = Route["options"]["limit"];

/** The steps of a request that limit it, in the order in which they come. */
export interface RequestLimits {
  /**
   * Refuses whoever would be refused anyway: what they present was charged to a bucket that is empty now, or
   * they are a stranger whose client's is.
   */
  refuseIfExhausted(state: RequestState, limit?: Limit): MaybePromise<void>;
  /** Charges those whom it makes no difference to who they are: strangers, log-ins, signed URLs. */
  chargeAhead(state: RequestState, limit: Limit): MaybePromise<void>;
  /** Charges the caller, or the client if nobody is known, and the host. */
  chargeCaller(state: RequestState, limit: Limit): MaybePromise<void>;
  /** Charges whose fault it is that a step failed, unless that is paid for. @throws the error, now or later */
  chargeFailure(state: RequestState, error: unknown): MaybePromise<never>;
  /** Charges the client, for what is answered to everybody alike. */
  chargeAnonymous(state: RequestState): MaybePromise<void>;
  /** Charges the installation alone, for a file that a page of ours loads with a dozen others. */
  chargeInstallation(state: RequestState): MaybePromise<void>;
  /** Has the request wait while enough others of its tenant run. */
  readonly throttle: TenantThrottle;
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
  const known = createKnownCredentials();
  const delay = createRefusalDelay();
  const delayCallers = createRefusalDelay({ perSecond: callersRefusedPerSecond });

  /** What a known caller's request would be charged to; undefined where that isn't at hand. */
  const knownCharges = (request: FastifyRequest, payer: Payer): readonly Charge[] | undefined => {
    if (payer.tenantId === undefined) return charges.account(payer.accountId);
    const tenant = findTenant(payer.tenantId);
    if (tenant instanceof Promise) {
      // Identifying the caller asks for it again, and hears of it if that fails.
      tenant.catch(() => {});
      return undefined;
    }
    return tenant && withHost(charges.tenant(tenant), request, tenant);
  };

  /** What the request of a signed URL is charged to; undefined where it isn't valid, or its tenant is gone. */
  const signedCharges = (request: FastifyRequest): MaybePromise<readonly Charge[] | undefined> => {
    const id = signedFor?.(request);
    return chain(id && findTenant(id), (tenant) =>
      tenant?.status === "active" ? charges.signed(tenant) : undefined,
    );
  };

  /** What a request would be charged to, as far as can be told before anybody is looked up. */
  const chargesBefore = (state: RequestState, limit: Limit) => {
    const { request, client } = state;
    if (limit === "signed") {
      return signedFor?.(request) ? undefined : charges.stranger(client, "anonymous");
    }
    if (limit) return charges.stranger(client, limit);
    state.payer = known.payer(request);
    if (state.payer) return knownCharges(request, state.payer);
    // New credentials may be good ones, for which strangers leave a part of the installation's bucket.
    return known.isPresented(request)
      ? charges.client(client, "anonymous")
      : charges.stranger(client, "anonymous");
  };

  /** Refuses, if that is the outcome; sooner or later, so that a flood's retries come slower. */
  const settle = (
    reply: FastifyReply,
    some: readonly Charge[],
    outcome: Outcome,
  ): MaybePromise<void> => {
    const refusal = setRateHeaders(reply, some, outcome, countRefused);
    if (!refusal) return;
    return chain(delay(), () => {
      throw refusal;
    });
  };
  const take = (reply: FastifyReply, some: readonly Charge[]): MaybePromise<void> => {
    if (some.length === 0) return;
    const outcome = limiter.take(some);
    return outcome instanceof Promise
      ? outcome.then((taken) => settle(reply, some, taken))
      : settle(reply, some, outcome);
  };

  /** Whose fault it is pays: the caller, if they are known, or else the client. */
  const payForFailure = (
    { request, reply, client, payer }: RequestState,
    error: unknown,
  ): MaybePromise<void> => {
    if (!(error instanceof AppError) || error.status >= 500) return;
    if (error instanceof CallerRefused) {
      const { caller } = error;
      known.add(request, caller, payer);
      if (caller.kind === "core") return take(reply, charges.account(caller.id));
      return chain(findTenant(caller.tenantId), (tenant) => take(reply, charges.tenant(tenant)));
    }
    if (error.status === 401 || error.code === tenantInactive.code) known.forget(request);
    return take(reply, charges.stranger(client, "anonymous"));
  };

  return {
    throttle: createTenantThrottle({ metrics }),
    refuseIfExhausted(state, limit) {
      const some = chargesBefore(state, limit);
      const outcome = some && limiter.refusal(some);
      return outcome && settle(state.reply, some, outcome);
    },
    chargeAhead(state, limit) {
      const { request, reply, client } = state;
      if (!limit && known.isPresented(request)) return;
      state.isPaidAhead = true;
      if (limit !== "signed") return take(reply, charges.stranger(client, limit ?? "anonymous"));
      return chain(signedCharges(request), (some) =>
        take(reply, some ?? charges.stranger(client, "anonymous")),
      );
    },
    chargeCaller(state, limit) {
      const { request, reply, client, caller, payer } = state;
      const { user, tenant } = caller ?? {};
      if (state.isPaidAhead) {
        // The bucket of a signed URL is its tenant's, whatever the host.
        return limit === "signed" ? undefined : take(reply, withHost([], request, tenant));
      }
      if (!user)
        return take(reply, withHost(charges.stranger(client, "anonymous"), request, tenant));
      known.add(request, user, payer);
      const own = user.kind === "core" ? charges.account(user.id) : charges.tenant(tenant);
      const taken = take(reply, withHost(own, request, tenant));
      if (!tenant || user.kind === "core") return taken;
      if (taken) return taken.then(() => count?.(tenant));
      count?.(tenant);
    },
    chargeFailure(state, error) {
      if (state.isPaidAhead) throw error;
      return chain(payForFailure(state, error), (): MaybePromise<never> => {
        // Others have few enough before their client's bucket is empty; a plan may grant ten thousand.
        const wait = error instanceof CallerRefused ? delayCallers() : undefined;
        return chain(wait, () => {
          throw error;
        });
      });
    },
    chargeAnonymous: ({ reply, client }) => take(reply, charges.stranger(client, "anonymous")),
    chargeInstallation: ({ reply }) => take(reply, charges.installation),
  };
}

/** These, and the host's, if it has a limit of its own. */
function withHost(
  some: readonly Charge[],
  request: FastifyRequest,
  tenant: Tenant | undefined,
): readonly Charge[] {
  const host = tenant?.hostSettings && hostCharge(request, tenant);
  return host ? [...some, host] : some;
}

/**
 * Names the bucket that refused the client, or the one of its own with the least left.
 *
 * @returns the refusal, if it is one.
 */
function setRateHeaders(
  reply: FastifyReply,
  charges: readonly Charge[],
  { refused, spent }: Outcome,
  countRefused: (policy: Policy) => void,
): AppError | undefined {
  const index = refused >= 0 ? refused : scarcest(charges, spent);
  const [named, missing = 0] = [charges[index], spent[index]];
  // What is left for all is nobody's business, while there is something left.
  if (!named || (named.policy === "global" && refused < 0)) return undefined;
  const headers = rateHeaders(named, missing, Date.now());
  for (const [name, value] of headers) reply.header(name, value);
  if (refused < 0) return undefined;
  countRefused(named.policy);
  const retryAfter = retryAfterSeconds(named, missing);
  return rateLimitExceeded({
    headers: { "retry-after": String(retryAfter) },
    ...explain(named, windowSeconds(named), retryAfter),
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
  refuseIfExhausted() {},
  chargeAhead() {},
  chargeCaller() {},
  chargeFailure(_state, error) {
    throw error;
  },
  chargeAnonymous() {},
  chargeInstallation() {},
  throttle: () => undefined,
};
