/**
 * Whose statements held up others lately. For a while such a tenant's statements travel on lanes of
 * their own, so that only its first slow ones are in others' way, and not each one of a flood.
 */
export interface SlowHolders {
  has(holder: string, now: number): boolean;
  add(holder: string, now: number): void;
  /** Whether one more may be interrupted: when that many are slow, it is the server. */
  mayInterrupt(now: number): boolean;
}

const lastsMs = 10_000;
const most = 1_000;
const interruptsPerSecond = 16;

export function createSlowHolders(): SlowHolders {
  const until = new Map<string, number>();
  let second = 0;
  let interrupts = 0;

  const has = (holder: string, now: number): boolean => {
    const end = until.get(holder);
    if (end === undefined) return false;
    if (end > now) return true;
    until.delete(holder);
    return false;
  };

  return {
    has,
    add(holder, now) {
      if (until.size >= most) for (const each of until.keys()) has(each, now);
      if (until.size < most || until.has(holder)) until.set(holder, now + lastsMs);
    },
    mayInterrupt(now) {
      if (now - second >= 1_000) [second, interrupts] = [now, 0];
      interrupts += 1;
      return interrupts <= interruptsPerSecond;
    },
  };
}
