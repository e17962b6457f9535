import { LRUCache } from "lru-cache";
import type { MaybePromise } from "./maybe-promise.ts";

/** How long to keep a value loaded while announcements were not being received. */
const unheardMs = 1_000;

/** The precision of lifetimes in milliseconds. Reading the clock on each hit would cost more. */
const ttlResolution = 100;

export interface LoadingCache<Value extends object> {
  find(key: string, load: () => Promise<Value | undefined>): MaybePromise<Value | undefined>;
  forget(key: string): void;
  /** Removes all keys with the prefix. Scans all keys: under a millisecond for 50,000. */
  forgetAll(prefix: string): void;
  clear(): void;
}

export interface LoadingCacheOptions<Value extends object> {
  /** The maximum number of entries. */
  readonly max: number;
  readonly ttlMs: number;
  /**
   * Subscribes to announcements of changes. While its result says that they are not being received, values
   * are kept for a second only. Absent: values are kept for `ttlMs`.
   */
  readonly follow?: (cache: LoadingCache<Value>) => () => boolean;
}

/**
 * A cache that loads each value once, however many callers wait for it; "not found" is cached too.
 * If an entry is invalidated while it is being loaded, the waiting callers get the value, but it is
 * not cached.
 */
export function createLoadingCache<Value extends object>({
  max,
  ttlMs,
  follow = () => () => true,
}: LoadingCacheOptions<Value>): LoadingCache<Value> {
  const known = new LRUCache<string, { readonly value: Value | undefined }>({
    max,
    ttlResolution,
  });
  const waiting = new Map<string, Promise<Value | undefined>>();

  const begin = (key: string, load: () => Promise<Value | undefined>) => {
    const loading = load()
      .then((value) => {
        const ttl = listening() ? ttlMs : Math.min(ttlMs, unheardMs);
        if (waiting.get(key) === loading) known.set(key, { value }, { ttl });
        return value;
      })
      .finally(() => {
        if (waiting.get(key) === loading) waiting.delete(key);
      });
    waiting.set(key, loading);
    return loading;
  };

  const forget = (key: string): void => {
    known.delete(key);
    waiting.delete(key);
  };

  const cache: LoadingCache<Value> = {
    find(key, load) {
      listening(); // Empties the cache if it turns out that announcements are not being received.
      const hit = known.get(key);
      return hit ? hit.value : (waiting.get(key) ?? begin(key, load));
    },
    forget,
    forgetAll(prefix) {
      for (const key of [...known.keys(), ...waiting.keys()]) {
        if (key.startsWith(prefix)) forget(key);
      }
    },
    clear() {
      known.clear();
      waiting.clear();
    },
  };
  const listening = follow(cache);
  return cache;
}
