import type { Connection } from "./connections.ts";
import type { LeaseOptions } from "./lease.ts";
import { reserveOf } from "./shares.ts";

export const isSession = (lease: LeaseOptions): boolean => lease.purpose !== "lane";

type Asked = Pick<Connection, "options" | "target">;

/**
 * Who may have a connection now. Sessions get at most three quarters of the budget, since their
 * handlers may need a lane while they hold a connection; of that, the control plane's reserve is not for
 * tenants, and one holder (a tenant) has at most half.
 *
 * @param hasReserve whether the control plane has one.
 * @param current the leases that are held.
 * @returns whether one more may be held; each one that may is counted.
 */
export function createAdmission(
  budget: number,
  hasReserve: boolean,
  current: Iterable<Asked>,
): (asked: Asked) => boolean {
  const maxSessions = Math.max(1, Math.floor(budget * 0.75));
  const maxTenants = Math.max(1, maxSessions - (hasReserve ? reserveOf(budget) : 0));
  const maxHeld = Math.max(1, Math.floor(maxSessions / 2));
  const held = new Map<string, number>();
  let sessions = 0;
  let tenants = 0;

  const count = ({ options: { holder }, target }: Asked) => {
    sessions += 1;
    if (target.role !== "control") tenants += 1;
    if (holder !== undefined) held.set(holder.name, (held.get(holder.name) ?? 0) + 1);
  };
  for (const each of current) if (isSession(each.options)) count(each);

  return (asked) => {
    const { holder } = asked.options;
    if (!isSession(asked.options)) return true;
    if (sessions >= maxSessions) return false;
    if (asked.target.role !== "control" && tenants >= maxTenants) return false;
    if (holder !== undefined && (held.get(holder.name) ?? 0) >= maxHeld) return false;
    count(asked);
    return true;
  };
}
