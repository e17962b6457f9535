/**
 * Token buckets in the memory of this process.
 *
 * A bucket of n requests per minute holds n tokens (or its own size) and regains them evenly. It is
 * stored as the amount missing, in units: a request takes 60,000 and a millisecond gives back n.
 * All are integers, so nothing is lost to rounding, and a full bucket needs no entry.
 *
 * This also bounds memory. A bucket is forgotten only when it is full, so nobody can reset theirs
 * by filling the table. If the table is full of buckets in use (an attacker with 100,000
 * addresses), new clients share a fixed number of buckets. Clients have a table of their own, so
 * that they can't force tenants into sharing.
 */
import { randomInt } from "node:crypto";

/** The name of a limit, as shown to clients. */
export type Policy = "global" | "tenant" | "host" | "account" | "anonymous" | "credentials";

export interface Charge {
  readonly policy: Policy;
  readonly key: string;
  /** Tokens regained per minute; at least 1. */
  readonly perMinute: number;
  /** Tokens when full. Default: `perMinute`. */
  readonly size?: number;
}

/** A request is charged to all its buckets, or to none if one of them refuses. */
export interface Outcome {
  /** The index of the charge that was refused, or -1. */
  readonly refused: number;
  /** Units missing from each bucket; after a refusal, those of the refusing bucket alone. */
  readonly spent: readonly number[];
}

export interface LocalBuckets {
  take(charges: readonly Charge[]): Outcome;
  /** The refusal that `take` would give, if any. Charges nothing. */
  refusal(charges: readonly Charge[]): Outcome | undefined;
  /** Adopts the amounts that the authoritative keeper reported. */
  observe(charges: readonly Charge[], spent: readonly number[]): void;
}

export interface LocalBucketsOptions {
  /** A monotonic clock in milliseconds. */
  readonly clock?: () => number;
  /** The maximum of buckets in each of the two tables. */
  readonly max?: number;
}

/** The units of one request. */
export const unitsOfRequest = 60_000;

/** The units missing from an empty bucket. */
export const capacityOf = ({ perMinute, size = perMinute }: Charge): number =>
  size * unitsOfRequest;

interface Bucket {
  spent: number;
  at: number;
  /** When the bucket will be full. */
  fullAt: number;
}

export function createLocalBuckets(options: LocalBucketsOptions = {}): LocalBuckets {
  const { clock = Date.now, max = 100_000 } = options;
  const clients = createTable(max);
  const others = createTable(max);

  const tableOf = ({ policy }: Charge): Table =>
    policy === "anonymous" || policy === "credentials" ? clients : others;

  /** Credits what the bucket has regained since. */
  const settle = (bucket: Bucket, charge: Charge, now: number): Bucket => {
    const { perMinute } = charge;
    // A clock set back credits nothing.
    const regained = Math.max(0, now - bucket.at) * perMinute;
    // The rate may have been lowered since: at most the whole bucket is missing.
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

/** Clients that find no room in the table share 2^10 buckets. */
const sharedBits = 10;

interface Table {
  find(charge: Charge): Bucket | undefined;
  /** Creates a full one if absent. */
  get(charge: Charge, now: number): Bucket;
}

function createTable(max: number): Table {
  const buckets = new Map<string, Bucket>();
  const shared = new Map<string, Bucket>();
  // Random, so that outsiders can't tell who shares a bucket.
  const seed = randomInt(2 ** 32);
  let sweep = buckets.entries();

  /** Examines a few buckets, going round the table, and deletes the full ones. */
  const forgetFull = (count: number, now: number): void => {
    for (let i = 0; i < count; i += 1) {
      const { value, done } = sweep.next();
      if (done) {
        sweep = buckets.entries();
        return;
      }
      const [key, { fullAt }] = value;
      // A bucket examined just now is about to be charged.
      if (fullAt < now) buckets.delete(key);
    }
  };

  /** The key of a shared bucket, when the table is full. */
  const sharedName = ({ policy, key }: Charge): string =>
    `${policy} ${hash(key, seed) >>> (32 - sharedBits)}`;

  const find = (charge: Charge): Bucket | undefined =>
    buckets.get(charge.key) ?? (shared.size > 0 ? shared.get(sharedName(charge)) : undefined);

  return {
    find,
    get(charge, now) {
      const known = find(charge);
      if (known) return known;
      // Delete more than one for each created, so that only buckets in use take room.
      forgetFull(buckets.size < max ? 4 : 64, now);
      const bucket = { spent: 0, at: now, fullAt: now };
      if (buckets.size < max) buckets.set(charge.key, bucket);
      else shared.set(sharedName(charge), bucket);
      return bucket;
    },
  };
}

/** FNV-1a with a seed. */
function hash(key: string, seed: number): number {
  let value = seed;
  for (let i = 0; i < key.length; i += 1) {
    value = Math.imul(value ^ key.charCodeAt(i), 0x01_00_01_93);
  }
  return value >>> 0;
}
