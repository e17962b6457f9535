/**
 * A queue as a ring buffer, with removal in the middle.
 *
 * Not a `Set`: V8 copies a busy one into a new table every few items, and the old table keeps
 * pointing to the new one. Once such a table is in the old generation, so are all later ones with
 * everything they ever held. Under a flood, megabytes of responses were copied again and again, and
 * the collector determined everybody's p99. A shifted or spliced array leaves such copies too. The
 * ring is copied only when it has to grow.
 */
export class Fifo<Item> {
  /** Its length is a power of two; free slots are undefined. */
  #ring: (Item | undefined)[] = new Array(8).fill(undefined);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Item | undefined {
    return this.#ring[this.#head];
  }

  get last(): Item | undefined {
    return this.#size === 0 ? undefined : this.#ring[this.#at(this.#size - 1)];
  }

  has(item: Item): boolean {
    return this.#indexOf(item) >= 0;
  }

  /** The first item that matches. */
  find(match: (item: Item) => boolean): Item | undefined {
    for (let i = 0; i < this.#size; i += 1) {
      const item = this.#ring[this.#at(i)] as Item; // none is undefined
      if (match(item)) return item;
    }
    return undefined;
  }

  push(item: Item): void {
    this.#makeRoom();
    this.#ring[this.#at(this.#size)] = item;
    this.#size += 1;
  }

  /** Inserts at the front. */
  unshift(item: Item): void {
    this.#makeRoom();
    this.#head = this.#at(-1);
    this.#ring[this.#head] = item;
    this.#size += 1;
  }

  shift(): Item | undefined {
    if (this.#size === 0) return undefined;
    const item = this.first;
    this.#ring[this.#head] = undefined;
    this.#head = this.#at(1);
    this.#size -= 1;
    return item;
  }

  delete(item: Item): void {
    const index = this.#indexOf(item);
    if (index < 0) return;
    // Shift the items before it by one.
    for (let i = index; i > 0; i -= 1) this.#ring[this.#at(i)] = this.#ring[this.#at(i - 1)];
    this.shift();
  }

  /** A copy of the items in order. */
  toArray(): Item[] {
    return Array.from({ length: this.#size }, (_, i) => this.#ring[this.#at(i)] as Item); // none is undefined
  }

  /** The slot of the item at this index. */
  #at(index: number): number {
    return (this.#head + index) & (this.#ring.length - 1);
  }

  #indexOf(item: Item): number {
    for (let i = 0; i < this.#size; i += 1) if (this.#ring[this.#at(i)] === item) return i;
    return -1;
  }

  #makeRoom(): void {
    if (this.#size < this.#ring.length) return;
    const items = this.toArray();
    this.#ring.fill(undefined);
    this.#ring = items.concat(new Array(items.length).fill(undefined));
    this.#head = 0;
  }
}
