/**
 * What waits, in a line for each holder; the lines are served in turn. A holder with a thousand in
 * its line delays another's first one by one turn.
 */
import { Fifo } from "./fifo.ts";

export interface FairQueue<Item> {
  push(holder: string, item: Item): void;
  /** Puts it ahead of the holder's others: it was under way already. */
  unshift(holder: string, item: Item): void;
  /** Takes the next item that `take` accepts, asking for the first of each holder's line in turn. */
  next(take: (item: Item, holder: string) => boolean): Item | undefined;
  /** Takes out all that match. */
  remove(match: (item: Item) => boolean): Item[];
  readonly size: number;
  readonly holders: number;
}

export function createFairQueue<Item>(): FairQueue<Item> {
  // The order of the keys is the order of the turns.
  const lines = new Map<string, Fifo<Item>>();
  let size = 0;

  const lineOf = (holder: string) => {
    let line = lines.get(holder);
    if (line === undefined) {
      line = new Fifo();
      lines.set(holder, line);
    }
    return line;
  };

  return {
    push(holder, item) {
      lineOf(holder).push(item);
      size += 1;
    },
    unshift(holder, item) {
      lineOf(holder).unshift(item);
      size += 1;
    },
    next(take) {
      for (const [holder, line] of lines) {
        const item = line.first as Item; // a line that is empty is not kept
        if (!take(item, holder)) continue;
        line.shift();
        size -= 1;
        lines.delete(holder);
        if (line.size > 0) lines.set(holder, line);
        return item;
      }
      return undefined;
    },
    remove(match) {
      const removed: Item[] = [];
      for (const [holder, line] of lines) {
        for (const item of line.toArray().filter(match)) {
          line.delete(item);
          removed.push(item);
        }
        if (line.size === 0) lines.delete(holder);
      }
      size -= removed.length;
      return removed;
    },
    get size() {
      return size;
    },
    get holders() {
      return lines.size;
    },
  };
}
