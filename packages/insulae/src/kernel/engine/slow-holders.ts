/**
 * Whose statements held up others lately. For a while such a tenant's statements travel on lanes of
 * their own, so that only its first slow ones are in others' way, and not each one of a flood.
 */
export interface SlowHolders {
  has(holder: string, now: number): boolean;
  /** @returns false if so many are slow that it is not they, but the server */
  add(holder: string, now: number): boolean;
}

const lastsMs = 10_000;
const most = 16;

export function createSlowHolders(): SlowHolders {
  const until = new Map<string, number>();

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
      if (until.size >= most && !until.has(holder)) return false;
      until.set(holder, now + lastsMs);
      return true;
    },
  };
}
