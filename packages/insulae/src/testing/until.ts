import { setTimeout as sleep } from "node:timers/promises";

type Truthy<T> = Exclude<T, undefined | null | false | 0 | "">;

/**
 * Waits for a condition: `await until("the outbox is empty", () => isEmpty(outbox))`.
 *
 * @param what the condition, for the error; a function to include the final state
 * @param look polled; if it throws, the wait ends
 * @returns the first truthy result of `look`
 * @throws Error after `withinMs`, even if a look is still pending
 */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  withinMs = 20_000,
): Promise<Truthy<T>> {
  const failure = new Error(); // created here, so that its stack shows the caller
  const waiting = new AbortController();
  const late = sleep(withinMs, undefined, { signal: waiting.signal }).then(() => {
    const text = typeof what === "string" ? what : what();
    failure.message = `Not within ${withinMs / 1_000} s: ${text}`;
    throw failure;
  });
  late.catch(() => {});
  try {
    for (;;) {
      const found = await Promise.race([look(), late]);
      if (found) return found as Truthy<T>; // checked above
      await Promise.race([sleep(10), late]);
    }
  } finally {
    waiting.abort();
  }
}
