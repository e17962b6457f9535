/**
 * Who was slow lately. Such a tenant's statements travel on lanes of their own, so that only its
 * first slow statements are in others' way, and not every one of a flood.
 *
 * A tenant has an allowance of slow time, which comes back at a tenth of the clock's pace: a moment
 * in which the whole machine was slow is forgiven, a tenant that is slow for a tenth of its time is
 * not. Whoever is alone on a target is in nobody's way and is not told apart; and when many are slow,
 * it is not they.
 */
export interface SlowHolders {
  /** Notes that somebody is about to run a statement; says whether it goes with the slow. */
  isSlow(holder: string, now: number): boolean;
  /** Notes for how long the server worked on a holder's statement. */
  note(holder: string, workedMs: number, now: number): void;
}

/** Between two tenants' statements there may be so long, and they still count as being together. */
const togetherMs = 1_000;
const forgivenPerMs = 0.1;
const maxDebtMs = 6_000;
/** With more of them than that, nobody is told apart. */
const maxSlow = 16;

/** @param heavyMs from when on a statement counts; twice as much is allowed. */
export function createSlowHolders(heavyMs: number): SlowHolders {
  const debts = new Map<string, { ms: number; at: number }>();
  let last = "";
  let together = Number.NEGATIVE_INFINITY;

  const debtOf = (holder: string, now: number) => {
    const debt = debts.get(holder);
    if (debt === undefined) return 0;
    const left = debt.ms - (now - debt.at) * forgivenPerMs;
    if (left <= 0) debts.delete(holder);
    return Math.max(0, left);
  };

  return {
    isSlow(holder, now) {
      if (holder !== last) {
        if (last !== "") together = now;
        last = holder;
      }
      if (debts.size === 0 || debts.size > maxSlow || now - together > togetherMs) return false;
      return debtOf(holder, now) > heavyMs * 2;
    },
    note(holder, workedMs, now) {
      if (workedMs < heavyMs || holder === "") return;
      const ms = Math.min(maxDebtMs, debtOf(holder, now) + workedMs);
      debts.set(holder, { ms, at: now });
      if (debts.size > maxSlow) for (const each of debts.keys()) debtOf(each, now);
    },
  };
}
