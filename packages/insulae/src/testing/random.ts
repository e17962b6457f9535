/**
 * The random source of tests. vitest.config.ts sets the seed, and its reporter prints it for failed
 * runs.
 */

/** The run's seed. */
export const seed = Number(process.env.INSULAE_TEST_SEED ?? 0);

/** mulberry32: small and fast. */
export function randomFrom(start: number) {
  let state = start;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    chance: (probability: number) => next() < probability,
    below: (limit: number) => Math.floor(next() * limit),
    pick: <T>(items: readonly T[]): T | undefined => items[Math.floor(next() * items.length)],
  };
}
