import { setTimeout as sleep } from "node:timers/promises";

/**
 * Polls until `look` returns something truthy, and returns that. If it throws, the wait ends.
 *
 * @param what the condition, for the error; a function to include the final state
 * @throws Error after `withinMs`
 */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  withinMs = 60_000,
): Promise<Exclude<T, undefined | false>> {
  for (const end = performance.now() + withinMs; performance.now() < end; await sleep(20)) {
    const found = await look();
    if (found) return found as Exclude<T, undefined | false>; // checked above
  }
  const text = typeof what === "string" ? what : what();
  throw new Error(`Not within ${withinMs / 1_000} s: ${text}`);
}
