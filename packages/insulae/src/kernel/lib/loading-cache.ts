import { LRUCache } from "lru-cache";
import type { MaybePromise } from "./maybe-promise.ts";

/** How long an answer is kept that came while announcements could not be heard. */
const unheardMs = 1_000;

/** How exactly lifetimes are kept, in milliseconds: asking for the time at each hit would cost more. */
const ttlResolution = 100;

export interface Answers<Answer extends object> {
  find(key: string, load: () => Promise<Answer | undefined>): MaybePromise<Answer | undefined>;
  forget(key: string): void;
  /** Forgets those whose key begins so. It looks at all: under a millisecond for 50,000. */
  forgetAll(prefix: string): void;
  clear(): void;
}

export interface AnswersOptions<Answer extends object> {
  /** How many are kept. */
  readonly max: number;
  readonly ttlMs: number;
  /**
   * Subscribes to what makes answers old. While `follow`'s result says that changes are not heard of, an answer is
   * kept for a second only. Absent: answers are good for as long as they are kept.
   */
  readonly follow?: (answers: Answers<Answer>) => () => boolean;
}

/**
 * Answers that are asked for once, however many wait, and kept for a while; "nobody" is an answer
 * too. An answer that was asked for before something was forgotten is given to those who waited for
 * it, and not kept.
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
      listening(); // If it is found only now that nothing is heard, this empties them.
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
