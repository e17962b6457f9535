/**
 * Max-min fairness for a limited resource: bytes, or places in a queue. A holder may use all of it
 * while nobody else needs it. Once it is used up, the holder with the most gives up parts to
 * holders that would then have less. So nobody can lock out others by filling it: a newcomer gets
 * in as long as somebody holds more.
 *
 * Tenants of one account form a group: groups are compared first, then the holders within a group.
 */

import type { ClientAddress } from "./client-address.ts";
import type { AccountId, TenantId } from "./ids.ts";

/** Who has a share. */
export interface Holder {
  /** Holders in the same group have one share together: more tenants don't give an account more. */
  readonly group: string;
  readonly name: string;
}

/** @param tenant undefined: the platform, which has a share like a tenant */
export function holderOf(
  tenant: { readonly id: TenantId; readonly ownerAccountId: AccountId | undefined } | undefined,
): Holder {
  const name = tenant?.id ?? "";
  return { group: tenant?.ownerAccountId ?? name, name };
}

/**
 * A client of which only the address is known. Whoever has an IPv6 address may have a whole /48.
 */
export const holderAt = ({ block, networks }: ClientAddress): Holder => ({
  group: networks.at(-1) ?? block,
  name: block,
});

/** A part of a holder's share that is in use. */
export interface Part {
  /**
   * Takes more; if nothing is left, from whoever holds most.
   *
   * @returns false if nobody holds more than this holder would; then nothing changes
   */
  grow(by: number): boolean;
  /** Gives the part back. */
  end(): void;
}

export interface FairShares {
  /** @param lose called when the part was taken away for another holder */
  begin(holder: Holder, lose: () => void): Part;
  /** Whether a part could grow by this much now. */
  hasRoom(holder: Holder, more: number): boolean;
  heldBy(holder: Holder): number;
}

interface Held {
  amount: number;
  readonly lose: () => void;
}

interface Share {
  amount: number;
  /** Oldest first. */
  readonly parts: Set<Held>;
}

interface Group {
  amount: number;
  readonly shares: Map<string, Share>;
}

/**
 * @param loses which part of the largest holder is taken away
 * @example
 * const bytes = createFairShares(1_000_000, "oldest");
 * const part = bytes.begin(holderOf(tenant), () => socket.destroy());
 * if (!part.grow(chunk.length)) throw serverBusy();
 */
export function createFairShares(size: number, loses: "oldest" | "newest"): FairShares {
  const groups = new Map<string, Group>();
  let used = 0;

  const change = (holder: Holder, part: Held, by: number): void => {
    const group = groups.get(holder.group) ?? { amount: 0, shares: new Map<string, Share>() };
    const share = group.shares.get(holder.name) ?? { amount: 0, parts: new Set<Held>() };
    for (const each of [part, share, group]) each.amount += by;
    used += by;
    groups.set(holder.group, group);
    group.shares.set(holder.name, share);
    if (part.amount > 0) share.parts.add(part);
    else share.parts.delete(part);
    if (share.parts.size === 0) group.shares.delete(holder.name);
    if (group.shares.size === 0) groups.delete(holder.group);
  };

  /** The largest holder, if it holds more than `holder` would after growing by `more`. */
  const richerThan = (holder: Holder, more: number): Holder | undefined => {
    const own = groups.get(holder.group);
    const [group, most] = largest(groups);
    if (most && most !== own && most.amount > (own?.amount ?? 0) + more) {
      return { group, name: largest(most.shares)[0] };
    }
    const [name, share] = largest(own?.shares ?? new Map<string, Share>());
    const isRicher = share && share.amount > (own?.shares.get(holder.name)?.amount ?? 0) + more;
    return isRicher ? { group: holder.group, name } : undefined;
  };

  const takeFrom = (holder: Holder): void => {
    const parts = [...(groups.get(holder.group)?.shares.get(holder.name)?.parts ?? [])];
    const part = parts.at(loses === "oldest" ? 0 : -1);
    if (!part) return;
    change(holder, part, -part.amount);
    part.lose();
  };

  return {
    begin(holder, lose) {
      const part: Held = { amount: 0, lose };
      return {
        grow(by) {
          while (used + by > size) {
            const richer = richerThan(holder, by);
            if (!richer) return false;
            takeFrom(richer);
          }
          change(holder, part, by);
          return true;
        },
        end() {
          if (part.amount > 0) change(holder, part, -part.amount);
        },
      };
    },
    hasRoom: (holder, more) => used + more <= size || richerThan(holder, more) !== undefined,
    heldBy: ({ group, name }) => groups.get(group)?.shares.get(name)?.amount ?? 0,
  };
}

function largest<Amount extends { readonly amount: number }>(
  all: ReadonlyMap<string, Amount>,
): [string, Amount | undefined] {
  let found: [string, Amount | undefined] = ["", undefined];
  for (const entry of all) if (entry[1].amount > (found[1]?.amount ?? 0)) found = entry;
  return found;
}
