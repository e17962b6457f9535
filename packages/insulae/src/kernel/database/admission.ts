import type { LeaseOptions } from "./broker.ts";

export const isSession = (lease: LeaseOptions): boolean => lease.purpose !== "lane";

/**
 * Who may have a connection now. Sessions get at most three quarters of the budget, since their
 * handlers may need a lane while they hold a connection; and one holder (a tenant) at most half of
 * that.
 *
 * @param current the leases that are held.
 * @returns whether one more may be held; each one that may is counted.
 */
export function createAdmission(
  budget: number,
  current: Iterable<LeaseOptions>,
): (lease: LeaseOptions) => boolean {
  const maxSessions = Math.max(1, Math.floor(budget * 0.75));
  const maxHeld = Math.max(1, Math.floor(maxSessions / 2));
  const held = new Map<string, number>();
  let sessions = 0;

  const count = ({ holder }: LeaseOptions) => {
    sessions += 1;
    if (holder !== undefined) held.set(holder, (held.get(holder) ?? 0) + 1);
  };
  for (const lease of current) if (isSession(lease)) count(lease);

  return (lease) => {
    if (!isSession(lease)) return true;
    if (sessions >= maxSessions) return false;
    if (lease.holder !== undefined && (held.get(lease.holder) ?? 0) >= maxHeld) return false;
    count(lease);
    return true;
  };
}
