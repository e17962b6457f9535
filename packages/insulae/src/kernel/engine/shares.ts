/**
 * What each part of the process may have of the connection budget.
 *
 * - The control plane has a reserve: whatever tenants' servers do, it can be asked.
 * - A server other than the control plane's has at most half of the rest. One that hangs keeps its
 *   connections until it is found out (see `server-health.ts`), and they are not all there are.
 */
import type { Target } from "./target.ts";

/** A bound on connections; those of the same name count together. */
export interface Share {
  readonly name: string;
  readonly max: number;
  /** One server's. */
  readonly ofServer?: boolean;
}

/** How many connections only the control plane may have. */
export const reserveOf = (budget: number): number => Math.min(4, Math.floor(budget / 4));

/**
 * @param mainServerId the control plane's server; without one, all share one budget.
 * @returns the shares that a connection to a target counts in, the narrowest first.
 */
export function createShares(
  budget: number,
  mainServerId: string | undefined,
): (target: Pick<Target, "serverId" | "role">) => readonly Share[] {
  const all: Share = { name: "all", max: budget };
  const control = [all];
  if (mainServerId === undefined) return () => control;
  const tenants: Share = { name: "tenants", max: budget - reserveOf(budget) };
  const max = Math.max(1, Math.floor(tenants.max / 2));
  const ofServers = new Map<string, readonly Share[]>([[mainServerId, [tenants, all]]]);
  return ({ serverId, role }) => {
    if (role === "control") return control;
    let shares = ofServers.get(serverId);
    if (shares === undefined) {
      shares = [{ name: `server ${serverId}`, max, ofServer: true }, tenants, all];
      ofServers.set(serverId, shares);
    }
    return shares;
  };
}
