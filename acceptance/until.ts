import { setTimeout as sleep } from "node:timers/promises";

/**
 * Waits until a look finds something truthy, and returns it. A look that throws ends the wait.
 *
 * @param what for the error; a function where it shows how things stand at the end
 * @throws Error after `withinMs`
 */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  withinMs = 60_000,
): Promise<Exclude<T, undefined | false>> {
  for (const end = performance.now() + withinMs; performance.now() < end; await sleep(20)) {
    const found = await look();
    if (found) return found as Exclude<T, undefined | false>; // As just seen.
  }
  const text = typeof what === "string" ? what : what();
  throw new Error(`Not within ${withinMs / 1_000} s: ${text}`);
}
