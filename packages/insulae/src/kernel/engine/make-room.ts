import type { Connection } from "./connections.ts";

export interface Wanted {
  /** How many connections somebody waits for. */
  readonly count: number;
  /** Closing which ones would help. */
  readonly helps: (connection: Connection) => boolean;
}

/**
 * Makes room in the budget: closes idle connections (the longest idle first), then asks holders to give
 * back what they do not use, then to finish what is in flight and give back.
 *
 * @returns whether enough is on its way.
 */
export function makeRoom(
  connections: Iterable<Connection>,
  { count, helps }: Wanted,
  holdMs: number,
  shut: (connection: Connection) => void,
): boolean {
  const own = [...connections].filter(helps);
  let coming = own.filter(
    ({ state, promised }) => state === "closing" || (state === "leased" && promised),
  ).length;
  for (const each of own) {
    if (coming >= count) return true;
    if (each.state !== "idle") continue;
    shut(each);
    coming += 1;
  }
  for (const urgent of [false, true]) {
    for (const each of holders(own, urgent ? holdMs : 0)) {
      if (coming >= count) return true;
      if (each.options.reclaim?.(urgent) !== true) continue;
      coming += 1;
      if (each.state === "leased") each.promised = true;
    }
  }
  return coming >= count;
}

/** Who is asked first: targets with many connections, then who has held one for long. */
function holders(own: readonly Connection[], heldMs: number): Connection[] {
  const now = performance.now();
  const count = new Map<string, number>();
  const leased = own.filter(({ state, promised }) => state === "leased" && !promised);
  for (const each of leased) count.set(each.key, (count.get(each.key) ?? 0) + 1);
  return leased
    .filter((each) => now - each.since >= heldMs)
    .sort((a, b) => (count.get(b.key) ?? 0) - (count.get(a.key) ?? 0) || a.since - b.since);
}
