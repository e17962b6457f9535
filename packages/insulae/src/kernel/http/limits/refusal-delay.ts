import { setTimeout as sleep } from "node:timers/promises";

export interface RefusalDelayOptions {
  /** So many refusals a second are given at once. Default 100. */
  readonly perSecond?: number;
  /** How long the others wait on average, each half more or less, so that they don't come in waves. Default 250. */
  readonly ms?: number;
  /** So many wait at a time; what comes beyond does not, so that memory is bounded. Default 10,000. */
  readonly most?: number;
}

/**
 * Delays refusals while there are many. Whoever asks again as soon as they are refused, as a flood
 * does, and a client whose retries make no pause, then asks four times a second on each connection, and
 * not as often as this process can refuse, which would be all that it does.
 *
 * @returns what to wait for before refusing; undefined: refuse at once.
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
