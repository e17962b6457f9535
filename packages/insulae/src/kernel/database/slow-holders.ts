/**
 * Who was slow lately. Such a tenant's statements travel on lanes of their own, so that at most its
 * first slow statement is in others' way, and not every one of a flood. Whoever is alone on a target
 * is in nobody's way, and is not told apart.
 */
export interface SlowHolders {
  /** Notes that somebody is about to run a statement; says whether it goes with the slow. */
  isSlow(holder: string, now: number): boolean;
  /** Notes how long the server worked on a holder's statement. */
  note(holder: string, workedMs: number, now: number): void;
}

/** Between two tenants' statements there may be so long, and they still count as being together. */
const togetherMs = 1_000;

/** Ten times as long as the statement took, so that a tenant which is slow a tenth of its time stays. */
const penalty = 10;
const minPenaltyMs = 1_000;
const maxPenaltyMs = 60_000;

/** @param heavyMs from when on a statement is called slow. */
export function createSlowHolders(heavyMs: number): SlowHolders {
  const until = new Map<string, number>();
  let last = "";
  let together = Number.NEGATIVE_INFINITY;

  return {
    isSlow(holder, now) {
      if (holder !== last) {
        if (last !== "") together = now;
        last = holder;
      }
      if (until.size === 0 || now - together > togetherMs) return false;
      const end = until.get(holder);
      if (end === undefined) return false;
      if (end > now) return true;
      until.delete(holder);
      return false;
    },
    note(holder, workedMs, now) {
      if (workedMs < heavyMs || holder === "") return;
      const ms = Math.min(maxPenaltyMs, Math.max(minPenaltyMs, workedMs * penalty));
      until.set(holder, Math.max(until.get(holder) ?? 0, now + ms));
      if (until.size > 1_000) for (const [each, end] of until) if (end <= now) until.delete(each);
    },
  };
}
