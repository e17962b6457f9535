/**
 * Decides which buckets a request is charged to: the installation's, and
 *
 *   the client's        `limit: "credentials"` (log-in etc.)   before any look-up
 *   the client's        no credentials                         before any look-up
 *   the tenant's        one of its users                       once the caller is known
 *   the tenant's second `limit: "signed"` (a signed URL)       once the URL's tenant is known
 *   the account's       outside tenants                        once the caller is known
 *   the client's        invalid credentials                    once that is known
 *
 * and the host's bucket, if it has a limit of its own, which all its callers share.
 *
 * A request that will be refused costs next to nothing: `refuseIfExhausted` checks the buckets
 * before any look-up. For credentials that were valid before, it checks the buckets they were
 * charged to; for all others, the client's. When a known caller is refused (another tenant, a
 * missing permission), they are charged as for a success, so that repeated attempts soon become
 * 429s; many such refusals are also delayed. Strangers are never charged to a tenant: anybody could
 * use up its rate.
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

/** 403 responses per second to known callers that are sent without delay. */
const callersRefusedPerSecond = 500;

type Limit = Route["options"]["limit"];

/** The limiting steps of a request, in their order. */
export interface RequestLimits {
  /**
   * Refuses a request that would be refused anyway: the bucket that its credentials were last
   * charged to is empty, or, for strangers, their client's is.
   */
  refuseIfExhausted(state: RequestState, limit?: Limit): MaybePromise<void>;
  /** Charges requests whose payer doesn't depend on the caller: strangers, log-ins, signed URLs. */
  chargeAhead(state: RequestState, limit: Limit): MaybePromise<void>;
  /** Charges the caller (or the client if unknown) and the host. */
  chargeCaller(state: RequestState, limit: Limit): MaybePromise<void>;
  /**
   * Charges whoever caused a step to fail, unless already paid. @throws the error, possibly delayed
   */
  chargeFailure(state: RequestState, error: unknown): MaybePromise<never>;
  /** Charges the client, for responses that don't depend on the caller. */
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
  /** The tenant's current state; a promise if it must be fetched. */
  readonly findTenant: (id: TenantId) => MaybePromise<Tenant | undefined>;
  /** The tenant that the URL of a `limit: "signed"` route was signed for; undefined: invalid. */
  readonly signedFor?: (request: FastifyRequest) => TenantId | undefined;
  /** Counts an admitted request of a tenant's user. @throws quotaExceeded */
  readonly count?: (tenant: Tenant) => void;
}

/** Every function throws rateLimitExceeded or rejects with it. */
export function createRequestLimits(options: RequestLimitsOptions): RequestLimits {
  const { limits, limiter, metrics, findTenant, count, signedFor } = options;
  const countRefused = (policy: Policy) => metrics.counter(refusals, { policy }).add();
  // Create the series now, so that the first refusal shows as an increase.
  for (const policy of ["global", "tenant", "host", "account", "anonymous", "credentials"]) {
    metrics.counter(refusals, { policy });
  }
  const charges = createCharges(limits);
  const known = createKnownCredentials();
  const delay = createRefusalDelay();
  const delayCallers = createRefusalDelay({ perSecond: callersRefusedPerSecond });

  /** The charges of a known caller's request; undefined if they aren't cached. */
  const knownCharges = (request: FastifyRequest, payer: Payer): readonly Charge[] | undefined => {
    if (payer.tenantId === undefined) return charges.account(payer.accountId);
    const tenant = findTenant(payer.tenantId);
    if (tenant instanceof Promise) {
      // `identify` asks again and reports the failure.
      tenant.catch(() => {});
      return undefined;
    }
    return tenant && withHost(charges.tenant(tenant), request, tenant);
  };

  /** The charges of a signed URL; undefined if it is invalid or its tenant no longer exists. */
  const signedCharges = (request: FastifyRequest): MaybePromise<readonly Charge[] | undefined> => {
    const id = signedFor?.(request);
    return chain(id && findTenant(id), (tenant) =>
      tenant?.status === "active" ? charges.signed(tenant) : undefined,
    );
  };

  /** The charges of a request, as far as known before any look-up. */
  const chargesBefore = (state: RequestState, limit: Limit) => {
    const { request, client } = state;
    if (limit === "signed") {
      return signedFor?.(request) ? undefined : charges.stranger(client, "anonymous");
    }
    if (limit) return charges.stranger(client, limit);
    state.payer = known.payer(request);
    if (state.payer) return knownCharges(request, state.payer);
    // New credentials may be valid; part of the installation's bucket is reserved for those.
    return known.isPresented(request)
      ? charges.client(client, "anonymous")
      : charges.stranger(client, "anonymous");
  };

  /**
   * Throws the refusal, if there is one; delayed if there are many, which slows a flood's retries.
   */
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

  /** Charges the caller if known, otherwise the client. */
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
        // A signed URL is charged to its own tenant, whatever the host.
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
        // Strangers need no delay: their client's bucket is soon empty. A plan may allow ten
        // thousand.
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

/** Adds the host's charge, if it has a limit of its own. */
function withHost(
  some: readonly Charge[],
  request: FastifyRequest,
  tenant: Tenant | undefined,
): readonly Charge[] {
  const host = tenant?.hostSettings && hostCharge(request, tenant);
  return host ? [...some, host] : some;
}

/**
 * Reports the bucket that refused, or the caller's own with the least left.
 *
 * @returns the refusal, if it is one
 */
function setRateHeaders(
  reply: FastifyReply,
  charges: readonly Charge[],
  { refused, spent }: Outcome,
  countRefused: (policy: Policy) => void,
): AppError | undefined {
  const index = refused >= 0 ? refused : scarcest(charges, spent);
  const [named, missing = 0] = [charges[index], spent[index]];
  // Don't reveal how much of the installation's bucket is left.
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

/** The index of the bucket with the least left; the caller's own come after the installation's. */
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

/** No limits: for load balancers' health checks. */
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
