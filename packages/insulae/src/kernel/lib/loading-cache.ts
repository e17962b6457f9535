import { LRUCache } from "lru-cache";
import type { MaybePromise } from "./maybe-promise.ts";

/** How long to keep a value loaded while announcements were not being received. */
const unheardMs = 1_000;

/** The precision of lifetimes in milliseconds. Reading the clock on each hit would cost more. */
const ttlResolution = 100;

export interface Answers<Answer extends object> {
  find(key: string, load: () => Promise<Answer | undefined>): MaybePromise<Answer | undefined>;
  forget(key: string): void;
  /** Removes all keys with the prefix. Scans all keys: under a millisecond for 50,000. */
  forgetAll(prefix: string): void;
  clear(): void;
}

export interface AnswersOptions<Answer extends object> {
  /** The maximum number of entries. */
  readonly max: number;
  readonly ttlMs: number;
  /**
   * Subscribes to announcements of changes. While its result says that they are not being received, values
   * are kept for a second only. Absent: values are kept for `ttlMs`.
   */
  readonly follow?: (answers: Answers<Answer>) => () => boolean;
}

/**
 * A cache that loads each value once, however many callers wait for it; "not found" is cached too.
 * If an entry is invalidated while it is being loaded, the waiting callers get the value, but it is
 * not cached.
 */
export function createAnswers<Answer extends object>({
  max,
  ttlMs,
  follow = () => () => true,
}: AnswersOptions<Answer>): Answers<Answer> {
  const known = new LRUCache<string, { readonly answer: Answer | undefined }>({
    max,
    ttlResolution,
  });
  const waiting = new Map<string, Promise<Answer | undefined>>();

  const ask = (key: string, load: () => Promise<Answer | undefined>) => {
    const asking = load()
      .then((answer) => {
        const ttl = listening() ? ttlMs : Math.min(ttlMs, unheardMs);
        if (waiting.get(key) === asking) known.set(key, { answer }, { ttl });
        return answer;
      })
      .finally(() => {
        if (waiting.get(key) === asking) waiting.delete(key);
      });
    waiting.set(key, asking);
    return asking;
  };

  const forget = (key: string): void => {
    known.delete(key);
    waiting.delete(key);
  };

  const answers: Answers<Answer> = {
    find(key, load) {
      listening(); // Empties the cache if it turns out that announcements are not being received.
      const hit = known.get(key);
      return hit ? hit.answer : (waiting.get(key) ?? ask(key, load));
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
  const listening = follow(answers);
  return answers;
}
