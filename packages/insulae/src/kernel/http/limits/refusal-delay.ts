import { setTimeout as sleep } from "node:timers/promises";

export interface RefusalDelayOptions {
  /** Refusals per second that are sent without delay. Default 100. */
  readonly perSecond?: number;
  /**
   * The mean delay of the others in milliseconds, ±50 % so that they don't come in waves. Default
   * 250.
   */
  readonly ms?: number;
  /** The maximum waiting at a time, to bound memory; above it there is no delay. Default 10,000. */
  readonly most?: number;
}

/**
 * Delays refusals while there are many. A client that retries as soon as it is refused then retries
 * four times a second per connection, instead of as fast as this process can refuse.
 *
 * @returns a promise to await before refusing; undefined: refuse at once
 */
export function createRefusalDelay(
  options: RefusalDelayOptions = {},
): () => Promise<void> | undefined {
  const { perSecond = 100, ms = 250, most = 10_000 } = options;
  let [atOnce, counted, waiting] = [perSecond, performance.now(), 0];
  return () => {
    const now = performance.now();
    atOnce = Math.min(perSecond, atOnce + ((now - counted) / 1_000) * perSecond);
    counted = now;
    if (atOnce >= 1) {
      atOnce -= 1;
      return undefined;
    }
    if (waiting >= most) return undefined;
    waiting += 1;
    return sleep(ms * (0.5 + Math.random())).then(() => {
      waiting -= 1;
    });
  };
}
