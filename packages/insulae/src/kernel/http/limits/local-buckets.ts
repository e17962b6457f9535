/**
 * Token buckets in the memory of this process.
 *
 * A bucket of n requests per minute holds n tokens (or its own size) and regains them evenly. It is kept as what is
 * missing from it, in units of which a request takes 60,000 and a millisecond gives back n: all
 * whole numbers, so nothing is lost to rounding, and a bucket that is full is the same as none.
 *
 * That is also how memory is bounded. A bucket is forgotten when it is full again and never before,
 * so that nobody can empty a bucket and have it forgotten by filling the table with others. Should
 * the table be full of buckets in use (an attacker with 100,000 addresses), clients that are new
 * share a fixed number of buckets. Clients have a table of their own, so that strangers can't push
 * tenants into that.
 */
import { randomInt } from "node:crypto";

/** What limits requests; the name is shown to clients. */
export type Policy = "global" | "tenant" | "host" | "account" | "anonymous" | "credentials";

/** One request's share of a bucket. */
export interface Charge {
  readonly policy: Policy;
  readonly key: string;
  /** What the bucket regains in a minute; at least 1. */
  readonly perMinute: number;
  /** What it holds; default as much. */
  readonly size?: number;
}

/** A request is charged to all its buckets, or to none where one of them refuses it. */
export interface Outcome {
  /** The place of the charge that was refused, or -1. */
  readonly refused: number;
  /** What is missing from each bucket now, in units. After a refusal, of that bucket alone. */
  readonly spent: readonly number[];
}

export interface LocalBuckets {
  take(charges: readonly Charge[]): Outcome;
  /** What `take` would say, if that is a refusal; nothing is charged. */
  refusal(charges: readonly Charge[]): Outcome | undefined;
  /** Learns what another keeper of the buckets found missing from them. */
  observe(charges: readonly Charge[], spent: readonly number[]): void;
}

export interface LocalBucketsOptions {
  /** Milliseconds since some moment. */
  readonly clock?: () => number;
  /** How many buckets there may be in each of the two tables. */
  readonly max?: number;
}

/** What one request takes. */
export const unitsOfRequest = 60_000;

/** How much is missing from the bucket when it is empty, in units. */
export const capacityOf = ({ perMinute, size = perMinute }: Charge): number =>
  size * unitsOfRequest;

interface Bucket {
  spent: number;
  at: number;
  /** When nothing will be missing. */
  fullAt: number;
}

export function createLocalBuckets(options: LocalBucketsOptions = {}): LocalBuckets {
  const { clock = Date.now, max = 100_000 } = options;
  const clients = createTable(max);
  const others = createTable(max);

  const tableOf = ({ policy }: Charge): Table =>
    policy === "anonymous" || policy === "credentials" ? clients : others;

  /** What the bucket regained since it was looked at. */
  const settle = (bucket: Bucket, charge: Charge, now: number): Bucket => {
    const { perMinute } = charge;
    // A clock that was set back gives nothing, and takes nothing.
    const regained = Math.max(0, now - bucket.at) * perMinute;
    // The rate may have become smaller since: what is missing is at most the whole bucket.
    bucket.spent = Math.min(Math.max(0, bucket.spent - regained), capacityOf(charge));
    bucket.at = now;
    bucket.fullAt = now + Math.ceil(bucket.spent / perMinute);
    return bucket;
  };
  const setSpent = (bucket: Bucket, spent: number, { perMinute }: Charge): void => {
    bucket.spent = spent;
    bucket.fullAt = bucket.at + Math.ceil(spent / perMinute);
  };

  const isEmpty = ({ spent }: Bucket, charge: Charge): boolean =>
    spent + unitsOfRequest > capacityOf(charge);

  return {
    take(charges) {
      const now = clock();
      const buckets: Bucket[] = [];
      for (const charge of charges) {
        const bucket = settle(tableOf(charge).get(charge, now), charge, now);
        buckets.push(bucket);
        if (isEmpty(bucket, charge)) return outcome(buckets.length - 1, buckets);
      }
      let at = 0;
      for (const charge of charges) {
        const bucket = buckets[at++];
        if (bucket) setSpent(bucket, bucket.spent + unitsOfRequest, charge);
      }
      return outcome(-1, buckets);
    },
    refusal(charges) {
      const now = clock();
      let index = -1;
      for (const charge of charges) {
        index += 1;
        const bucket = tableOf(charge).find(charge);
        if (bucket && isEmpty(settle(bucket, charge, now), charge)) {
          const spent: number[] = [];
          spent[index] = bucket.spent;
          return { refused: index, spent };
        }
      }
      return undefined;
    },
    observe(charges, spent) {
      const now = clock();
      for (const [index, units] of spent.entries()) {
        const charge = charges[index];
        if (!charge) continue;
        const bucket = settle(tableOf(charge).get(charge, now), charge, now);
        setSpent(bucket, Math.max(units, bucket.spent), charge);
      }
    },
  };
}

const outcome = (refused: number, buckets: readonly Bucket[]): Outcome => ({
  refused,
  spent: buckets.map(({ spent }) => spent),
});

/** Those who find no room in the table share 2^10 buckets. */
const sharedBits = 10;

interface Table {
  find(charge: Charge): Bucket | undefined;
  /** Makes one where there is none. */
  get(charge: Charge, now: number): Bucket;
}

function createTable(max: number): Table {
  const buckets = new Map<string, Bucket>();
  const shared = new Map<string, Bucket>();
  // Nobody outside can tell which bucket somebody shares.
  const seed = randomInt(2 ** 32);
  let sweep = buckets.entries();

  /** Looks at a few buckets, going round the table, and forgets those that are full. */
  const forgetFull = (count: number, now: number): void => {
    for (let i = 0; i < count; i += 1) {
      const { value, done } = sweep.next();
      if (done) {
        sweep = buckets.entries();
        return;
      }
      const [key, { fullAt }] = value;
      // Those that were looked at now are about to be charged.
      if (fullAt < now) buckets.delete(key);
    }
  };

  /** Where there is no room, a name that others have too. */
  const sharedName = ({ policy, key }: Charge): string =>
    `${policy} ${hash(key, seed) >>> (32 - sharedBits)}`;

  const find = (charge: Charge): Bucket | undefined =>
    buckets.get(charge.key) ?? (shared.size > 0 ? shared.get(sharedName(charge)) : undefined);

  return {
    find,
    get(charge, now) {
      const known = find(charge);
      if (known) return known;
      // More than one is forgotten for one that is made, so that only those in use take room.
      forgetFull(buckets.size < max ? 4 : 64, now);
      const bucket = { spent: 0, at: now, fullAt: now };
      if (buckets.size < max) buckets.set(charge.key, bucket);
      else shared.set(sharedName(charge), bucket);
      return bucket;
    },
  };
}

/** FNV-1a of a key, begun at a seed. */
function hash(key: string, seed: number): number {
  let value = seed;
  for (let i = 0; i < key.length; i += 1) {
    value = Math.imul(value ^ key.charCodeAt(i), 0x01_00_01_93);
  }
  return value >>> 0;
}
