/**
 * Who keeps the buckets: this process; the primary, for all workers of this node; or Redis for all nodes.
 *
 *   empty, as far as is known here ──► refused
 *   Redis is here ─────────────────► Redis decides; what it says is learnt
 *   Redis is away ─────────────────► decided here, from what was learnt
 *   a worker without Redis ────────► the primary decides; what it says is learnt
 *
 * In one process without Redis the answer is there at once. With it, a flood costs Redis nothing once a bucket is
 * empty: no other node can have filled it meanwhile, so what is known here is enough to refuse. And
 * should Redis go away, its buckets go on here as they were, so that this gives nobody a fresh one.
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
  /** Charges one request to all of the buckets, or to none if one of them is empty. */
  take(charges: readonly Charge[]): MaybePromise<Outcome>;
  /** The refusal that would follow, as far as is known here; nothing is charged. */
  refusal(charges: readonly Charge[]): Outcome | undefined;
}

export interface LimiterOptions extends LocalBucketsOptions {
  readonly redis?: Redis | undefined;
  /** Of a worker: has the primary charge a request. */
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
