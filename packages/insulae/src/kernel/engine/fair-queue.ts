/**
 * What waits, in a line for each holder; the lines are served in turn. A holder with a thousand in
 * its line delays another's first one by one turn.
 */
import { Fifo } from "../lib/fifo.ts";

export interface FairQueue<Item> {
  push(holder: string, item: Item): void;
  /** Puts it ahead of the holder's others: it was under way already. */
  unshift(holder: string, item: Item): void;
  /** Takes the next item that `take` accepts, asking for the first of each holder's line in turn. */
  next(take: (item: Item, holder: string) => boolean): Item | undefined;
  /** Takes out all that match. */
  remove(match: (item: Item) => boolean): Item[];
  /** Whether something of the holder waits. */
  has(holder: string): boolean;
  readonly size: number;
  readonly holders: number;
}

interface Line<Item> {
  readonly holder: string;
  readonly items: Fifo<Item>;
}

/** So many lines are kept in which nothing waits, since one that has waited will again. */
const mostIdle = 256;

export function createFairQueue<Item>(): FairQueue<Item> {
  const lines = new Map<string, Line<Item>>();
  /** Those in which something waits, in the order of their turns; not the order of the map: see `Fifo`. */
  const turns = new Fifo<Line<Item>>();
  let size = 0;

  /** The holder's line, to which something is about to be added. */
  const lineOf = (holder: string): Line<Item> => {
    let line = lines.get(holder);
    if (line === undefined) {
      if (lines.size - turns.size > mostIdle) dropIdle();
      line = { holder, items: new Fifo() };
      lines.set(holder, line);
    }
    if (line.items.size === 0) turns.push(line);
    size += 1;
    return line;
  };

  const dropIdle = (): void => {
    for (const [holder, { items }] of lines) if (items.size === 0) lines.delete(holder);
  };

  return {
    push: (holder, item) => lineOf(holder).items.push(item),
    unshift: (holder, item) => lineOf(holder).items.unshift(item),
    next(take) {
      const line = turns.find(({ holder, items }) => take(items.first as Item, holder)); // one waits
      if (!line) return undefined;
      turns.delete(line);
      const item = line.items.shift();
      if (line.items.size > 0) turns.push(line);
      size -= 1;
      return item;
    },
    remove(match) {
      const removed: Item[] = [];
      for (const line of turns.toArray()) {
        for (const item of line.items.toArray().filter(match)) {
          line.items.delete(item);
          removed.push(item);
        }
        if (line.items.size === 0) turns.delete(line);
      }
      size -= removed.length;
      return removed;
    },
    has: (holder) => (lines.get(holder)?.items.size ?? 0) > 0,
    get size() {
      return size;
    },
    get holders() {
      return turns.size;
    },
  };
}
