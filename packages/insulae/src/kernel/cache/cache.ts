/**
 * A tenant's cache: what handlers and jobs get as `cache`.
 *
 *   getOrSet(key, load) ──► here? ──yes──► its JSON, read anew for each caller
 *                             │ no
 *                             ▼
 *                  is somebody loading it? ──yes──► wait for the same
 *                             │ no
 *                             ▼
 *                 load ──► keep, unless it was forgotten meanwhile
 *
 * Entries are in Redis if there is one, so that all nodes see the same. Otherwise they are in the
 * process (`local-entries.ts`), and `delete` and `deleteTag` are announced to the other nodes.
 * While Redis is unavailable, the process stands in for it and keeps entries for at most a second,
 * because it does not learn what others delete in Redis.
 *
 * Below this level keys and tags are hashed, so that an announcement reveals nothing.
 */
import { hash } from "node:crypto";
import type { FollowAnnouncements } from "../announcements/followers.ts";
import type { TenantId } from "../lib/ids.ts";
import { RedisAbsent } from "../redis/redis.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Entries, everything, maxTtlSeconds, type Slot } from "./entries.ts";
import { createLocalEntries } from "./local-entries.ts";
import type { RedisEntries } from "./redis-entries.ts";

export interface CacheOptions {
  /** Lifetime in seconds; default 300, at most 86,400. */
  readonly ttl?: number;
  /** Tags of the entry: `deleteTag` deletes all entries with a tag. At most 16. */
  readonly tags?: readonly string[];
}

/**
 * A per-tenant cache for handlers and jobs. Values are serialised as JSON, so a `Date` comes back
 * as a string. Any entry may disappear at any time.
 */
export interface Cache {
  /** The value, or undefined. */
  get<T>(key: string): Promise<T | undefined>;
  /**
   * Stores a value. Without Redis, the other nodes don't learn of it: if they may have cached
   * another value, use `delete` after the change instead.
   */
  set(key: string, value: unknown, options?: CacheOptions): Promise<void>;
  /** Deletes the value on every node. A value being loaded now is not stored either. */
  delete(key: string): Promise<void>;
  /** Deletes all entries with the tag, on every node. */
  deleteTag(tag: string): Promise<void>;
  /** Deletes all entries of the tenant, on every node. */
  clear(): Promise<void>;
  /**
   * Adds to a stored whole number; if there is none, to 0, which is stored as by `set`. Concurrent
   * increments all count. Without Redis, each process has a number of its own.
   *
   * @param by default 1; may be negative
   * @returns the new number
   * @throws TypeError if the stored value is not a number
   */
  increment(key: string, by?: number, options?: CacheOptions): Promise<number>;
  /**
   * The value; if there is none, the result of `load`, which is stored. However many callers ask
   * concurrently, a process loads it once. An error goes to all waiting callers and is not stored;
   * nor is undefined.
   *
   * @example
   * const rates = await cache.getOrSet("rates", () => fetchRates(), { ttl: 3600, tags: ["prices"] });
   */
  getOrSet<T>(key: string, load: () => T | Promise<T>, options?: CacheOptions): Promise<T>;
}

export interface Caches {
  of(tenantId: TenantId): Cache;
  /** Since the start. */
  readonly counts: { readonly hits: number; readonly misses: number };
  close(): void;
}

export interface CachesOptions {
  readonly redis: RedisEntries | undefined;
  /** Announces a deletion to the other nodes. */
  readonly announce: (tenantId: TenantId, id: string) => Promise<void>;
  readonly follow: FollowAnnouncements;
  /** The maximum size in this process. */
  readonly maxBytes: number;
  readonly log: Logger;
}

const defaultTtlSeconds = 300;
const maxKeyLength = 1_000;
const maxTags = 16;
/** Larger values (as JSON) are not stored. */
const maxValueLength = 1_048_576;

interface Load {
  readonly tags: readonly string[];
  readonly text: Promise<string | undefined>;
}

export function createCaches(options: CachesOptions): Caches {
  const { redis, announce, follow, maxBytes, log } = options;
  const local = createLocalEntries({ maxBytes, trusted: () => redis === undefined && listening() });
  const loads = new Map<string, Load>();
  const counts = { hits: 0, misses: 0 };

  /** Where the tenant's entries are now. */
  const entriesOf = (tenantId: TenantId): Entries => (redis?.isHere(tenantId) ? redis : local);
  /** Uses the entries in Redis, or in the process if Redis turns out to be unavailable. */
  const withEntries = async <T>(tenantId: TenantId, ask: (entries: Entries) => Promise<T>) => {
    try {
      return await ask(entriesOf(tenantId));
    } catch (error) {
      if (error instanceof RedisAbsent) return ask(local);
      throw error;
    }
  };
  /** Later callers must not get the result of a load that began before the deletion. */
  const forgetLoads = (tenantId: TenantId, id: string): void => {
    loads.delete(`${tenantId} ${id}`);
    if (id.startsWith("k")) return;
    for (const [name, { tags }] of loads) {
      const depends = id === everything || tags.includes(id);
      if (name.startsWith(tenantId) && depends) loads.delete(name);
    }
  };

  const forgotten = (tenantId: TenantId, id: string): void => {
    forgetLoads(tenantId, id);
    void local.forget(tenantId, id);
  };

  const listening = follow({
    cache(tenantId, id) {
      forgotten(tenantId, id);
      // The announcing node could not reach Redis.
      redis?.owe(tenantId);
    },
    erased(tenantId) {
      forgotten(tenantId, everything);
      redis?.owe(tenantId);
    },
    anything() {
      loads.clear();
      local.clear();
    },
  });

  const forget = async (tenantId: TenantId, id: string): Promise<void> => {
    forgotten(tenantId, id);
    if (redis?.isHere(tenantId)) {
      try {
        await redis.forget(tenantId, id);
        return;
      } catch (error) {
        if (!(error instanceof RedisAbsent)) throw error;
      }
    }
    // What Redis still has must not reappear when it comes back.
    redis?.owe(tenantId);
    await announce(tenantId, id);
  };

  /** The value's JSON, if it belongs to this tenant. */
  const unwrap = (tenantId: TenantId, text: string | undefined): string | undefined => {
    if (text === undefined) return undefined;
    const prefix = `${tenantId} `;
    if (text.startsWith(prefix)) return text.slice(prefix.length);
    log.error({ tenant_id: tenantId }, "The cache returned another tenant's value; ignoring it");
    return undefined;
  };

  /** @param isWanted whether it has not been deleted since */
  const load = async (slot: Slot, make: () => unknown, ttlMs: number, isWanted: () => boolean) => {
    const { tenantId } = slot;
    const opened = await withEntries(tenantId, (entries) => entries.open(slot));
    const found = "text" in opened ? unwrap(tenantId, opened.text) : undefined;
    counts[found === undefined ? "misses" : "hits"] += 1;
    if (found !== undefined) return found;
    const value = jsonOf(await make());
    if (value !== undefined && value.length <= maxValueLength && "keep" in opened && isWanted()) {
      await opened.keep(`${tenantId} ${value}`, ttlMs).catch(ignoreAbsence);
    }
    return value;
  };

  return {
    of: (tenantId) => ({
      async get<T>(key: string) {
        const slot = { tenantId, id: keyId(key), tags: [] };
        const text = await withEntries(tenantId, (entries) => entries.find(slot));
        const found = unwrap(tenantId, text);
        counts[found === undefined ? "misses" : "hits"] += 1;
        // The caller states the type of what is stored under this key.
        return found === undefined ? undefined : (JSON.parse(found) as T);
      },
      async set(key, value, set = {}) {
        const slot = { tenantId, id: keyId(key), tags: tagIds(set.tags) };
        const ttlMs = milliseconds(set.ttl);
        const text = jsonOf(value);
        if (text === undefined) throw new TypeError("cache.set: the value is not JSON");
        forgetLoads(tenantId, slot.id);
        if (text.length > maxValueLength) return forget(tenantId, slot.id);
        await withEntries(tenantId, (to) => to.put(slot, `${tenantId} ${text}`, ttlMs));
      },
      delete: async (key) => forget(tenantId, keyId(key)),
      deleteTag: async (tag) => forget(tenantId, tagId(tag)),
      clear: async () => forget(tenantId, everything),
      async increment(key, by = 1, set = {}) {
        if (!Number.isSafeInteger(by)) throw new TypeError("cache.increment: by a whole number");
        const slot = { tenantId, id: keyId(key), tags: tagIds(set.tags) };
        const ttlMs = milliseconds(set.ttl);
        forgetLoads(tenantId, slot.id);
        const sum = await withEntries(tenantId, (entries) => entries.add(slot, by, ttlMs));
        if (sum === undefined)
          throw new TypeError(`cache.increment: the value of ${key} is not a number`);
        return sum;
      },
      async getOrSet<T>(key: string, make: () => T | Promise<T>, set: CacheOptions = {}) {
        const slot = { tenantId, id: keyId(key), tags: tagIds(set.tags) };
        const ttlMs = milliseconds(set.ttl);
        const name = `${tenantId} ${slot.id}`;
        let underway = loads.get(name);
        if (!underway) {
          const isWanted = () => loads.get(name) === begun;
          const begun: Load = { tags: slot.tags, text: load(slot, make, ttlMs, isWanted) };
          const done = () => {
            if (isWanted()) loads.delete(name);
          };
          begun.text.then(done, done);
          loads.set(name, begun);
          underway = begun;
        }
        const text = await underway.text;
        // as above
        return (text === undefined ? undefined : JSON.parse(text)) as T;
      },
    }),
    counts,
    close: () => redis?.close(),
  };
}

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof RedisAbsent)) throw error;
}

const jsonOf = (value: unknown): string | undefined => JSON.stringify(value);

const idOf = (kind: "k" | "t", name: string): string => {
  if (name.length === 0 || name.length > maxKeyLength) {
    throw new RangeError(`cache: keys and tags must have 1 to ${maxKeyLength} characters`);
  }
  // In UTF-8, all lone surrogates become the same replacement character.
  if (!name.isWellFormed()) throw new RangeError("cache: a key or tag is not well-formed Unicode");
  return kind + hash("sha256", name, "base64url").slice(0, 27);
};

const keyId = (key: string): string => idOf("k", key);
const tagId = (tag: string): string => idOf("t", tag);

function tagIds(tags: readonly string[] = []): string[] {
  if (tags.length > maxTags) throw new RangeError(`cache: at most ${maxTags} tags`);
  return tags.map(tagId);
}

function milliseconds(ttl = defaultTtlSeconds): number {
  if (!(ttl > 0 && ttl <= maxTtlSeconds)) {
    throw new RangeError(`cache: a ttl must be more than 0 and at most ${maxTtlSeconds} seconds`);
  }
  return Math.ceil(ttl * 1000);
}
