/**
 * Percentiles of the last five to ten minutes, to within 5 %: a count for each ninth of an octave of
 * microseconds, in two windows that take turns.
 */
const steps = 9;
const slots = 32 * steps;
const windowMs = 300_000;

export interface Recent {
  /** @param now in milliseconds of the process. */
  observe(seconds: number, now: number): void;
  /** NaN if there was nothing. @param quantiles from 0 to 1. */
  read(quantiles: readonly number[], now: number): number[];
}

export function createRecent(): Recent {
  let current = new Uint32Array(slots);
  let previous = new Uint32Array(slots);
  let endsAt = 0;

  const turn = (now: number): void => {
    if (now < endsAt) return;
    const gap = now - endsAt;
    [previous, current] = [current, previous];
    current.fill(0);
    // Nobody asked, and nothing came, for a whole window.
    if (gap >= windowMs) previous.fill(0);
    endsAt = now + windowMs;
  };

  return {
    observe(seconds, now) {
      turn(now);
      const slot = Math.min(slots - 1, Math.floor(Math.log2(seconds * 1e6 + 1) * steps));
      current[slot] = (current[slot] ?? 0) + 1;
    },
    read(quantiles, now) {
      turn(now);
      const counts = current.map((count, slot) => count + (previous[slot] ?? 0));
      const total = counts.reduce((sum, count) => sum + count, 0);
      return quantiles.map((quantile) => {
        if (total === 0) return Number.NaN;
        const wanted = Math.max(1, Math.ceil(total * quantile));
        let seen = 0;
        const slot = counts.findIndex((count) => {
          seen += count;
          return seen >= wanted;
        });
        // The middle of the slot.
        return (2 ** ((slot + 0.5) / steps) - 1) / 1e6;
      });
    },
  };
}
