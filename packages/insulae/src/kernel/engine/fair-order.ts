import type { Connection } from "./connections.ts";
import type { LeaseOptions } from "./lease.ts";
import type { Waiter } from "./waiter.ts";

type Asked = Pick<Connection, "options" | "key">;

/**
 * In which order those who wait for connections are served: first whoever would then hold least, by the
 * account that the tenant belongs to, then by the tenant, then as they came. So somebody's first waits for one
 * that comes back, and not for all that another has asked for.
 *
 *     held: a a a      waiting: a a a b a b c      order: b c b a a a a
 */
export function inFairOrder(line: Iterable<Waiter>, held: Iterable<Asked>): Waiter[] {
  const all = [...held].map(ownerOf);
  const ofNames = counter(all.map(({ name }) => name));
  const ofGroups = counter(all.map(({ group }) => group));
  return Array.from(line, (waiter) => ({ waiter, ...ownerOf(waiter) }))
    .map((each) => ({ ...each, rank: ofNames(each.name) }))
    .sort((a, b) => a.rank - b.rank)
    .map((each) => ({ ...each, rank: ofGroups(each.group) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ waiter }) => waiter);
}

/** A lane is nobody's: those of one target are alike. */
const ownerOf = ({ options: { holder }, key }: { options: LeaseOptions; key: string }) =>
  holder ?? { group: key, name: key };

/** @returns what says how many there have been of a key before. */
function counter(first: Iterable<string>): (key: string) => number {
  const counts = new Map<string, number>();
  const count = (key: string): number => {
    const before = counts.get(key) ?? 0;
    counts.set(key, before + 1);
    return before;
  };
  for (const key of first) count(key);
  return count;
}
