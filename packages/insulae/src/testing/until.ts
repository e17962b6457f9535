import { setTimeout as sleep } from "node:timers/promises";

type Truthy<T> = Exclude<T, undefined | null | false | 0 | "">;

/**
 * Waits for what a test needs before it goes on: `await until("the outbox is empty", () => isEmpty(outbox))`.
 *
 * @param what is true then, for the error; a function where it shows how things stand at the end
 * @param look a look that throws ends the wait
 * @returns what `look` returned, as soon as that is truthy
 * @throws Error after `withinMs`, also while a look has not ended
 */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  withinMs = 20_000,
): Promise<Truthy<T>> {
  const failure = new Error(); // Made here, so that its stack names who waits.
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
      if (found) return found as Truthy<T>; // As just seen.
      await Promise.race([sleep(10), late]);
    }
  } finally {
    waiting.abort();
  }
}
