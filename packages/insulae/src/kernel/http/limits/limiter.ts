/**
 * Decides who keeps the buckets: this process; the primary, for all workers of a node; or Redis,
 * for all nodes.
 *
 *   empty, by the local copy ──► refused
 *   Redis available ───────────► Redis decides; the local copy is updated
 *   Redis unavailable ─────────► the local copy decides
 *   worker without Redis ──────► the primary decides; the local copy is updated
 *
 * In one process without Redis the result is synchronous. With Redis, a flood costs Redis nothing
 * once a bucket is empty: no other node can have refilled it, so the local copy suffices to refuse.
 * If Redis fails, the local copies continue as they were, so nobody gets a fresh bucket.
 */
import type { MaybePromise } from "../../lib/maybe-promise.ts";
import { type Redis, RedisAbsent } from "../../redis/redis.ts";
import {
  type Charge,
  createLocalBuckets,
  type LocalBucketsOptions,
  type Outcome,
} from "./local-buckets.ts";
import { takeFromRedis } from "./redis-buckets.ts";

export interface Limiter {
  /** Charges one request to all the buckets, or to none if one of them is empty. */
  take(charges: readonly Charge[]): MaybePromise<Outcome>;
  /** The refusal that `take` would give, by the local copy. Charges nothing. */
  refusal(charges: readonly Charge[]): Outcome | undefined;
}

export interface LimiterOptions extends LocalBucketsOptions {
  readonly redis?: Redis | undefined;
  /** In a worker: has the primary charge a request. */
  readonly takeFromPrimary?: ((charges: readonly Charge[]) => Promise<Outcome>) | undefined;
}

export function createLimiter(options: LimiterOptions = {}): Limiter {
  const { redis, takeFromPrimary, ...rest } = options;
  const local = createLocalBuckets(rest);
  const takeElsewhere = redis
    ? (charges: readonly Charge[]) => takeFromRedis(redis, charges)
    : takeFromPrimary;
  if (!takeElsewhere) return local;

  const ask = async (charges: readonly Charge[]): Promise<Outcome> => {
    try {
      const outcome = await takeElsewhere(charges);
      local.observe(charges, outcome.spent);
      return outcome;
    } catch (error) {
      if (error instanceof RedisAbsent) return local.take(charges);
      throw error;
    }
  };
  return {
    refusal: local.refusal,
    take: (charges) =>
      redis && !redis.isHere() ? local.take(charges) : (local.refusal(charges) ?? ask(charges)),
  };
}
