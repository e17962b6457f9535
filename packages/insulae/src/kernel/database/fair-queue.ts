/**
 * What waits, in a line for each holder; the lines are served in turn. A holder with a thousand in
 * its line delays another's first one by one turn.
 */
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
  // The order of the keys is the order of the turns. A line is consumed from `head`.
  const lines = new Map<string, { items: Item[]; head: number }>();
  let size = 0;

  const lineOf = (holder: string) => {
    let line = lines.get(holder);
    if (line === undefined) {
      line = { items: [], head: 0 };
      lines.set(holder, line);
    }
    return line;
  };

  return {
    push(holder, item) {
      lineOf(holder).items.push(item);
      size += 1;
    },
    unshift(holder, item) {
      const line = lineOf(holder);
      if (line.head > 0) {
        line.head -= 1;
        line.items[line.head] = item;
      } else line.items.unshift(item);
      size += 1;
    },
    next(take) {
      for (const [holder, line] of lines) {
        const item = line.items[line.head] as Item; // a line that is empty is not kept
        if (!take(item, holder)) continue;
        line.head += 1;
        size -= 1;
        lines.delete(holder);
        if (line.head < line.items.length) {
          if (line.head > 512) {
            line.items = line.items.slice(line.head);
            line.head = 0;
          }
          lines.set(holder, line);
        }
        return item;
      }
      return undefined;
    },
    remove(match) {
      const removed: Item[] = [];
      for (const [holder, line] of lines) {
        const kept: Item[] = [];
        for (const item of line.items.slice(line.head)) (match(item) ? removed : kept).push(item);
        if (kept.length === 0) lines.delete(holder);
        else {
          line.items = kept;
          line.head = 0;
        }
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
