/**
 * What is under way, in the order of its coming; mostly the first is the next to leave.
 *
 * Not a `Set`: one that is always in use is copied into a new table every few items, and the old table
 * goes on pointing to the new one. Once such a table has reached V8's old generation, all tables after
 * it do, and with them all that they ever held: a flood's answers, megabytes of them, were copied over
 * and over, and everybody's p99 was that of the collector. An array that is shifted, or cut now and then,
 * leaves such copies too. So it is a ring, which is copied only when more wait than ever did.
 */
export class Fifo<Item> {
  /** Its length is a power of two; undefined where there is nothing. */
  #ring: (Item | undefined)[] = new Array(8).fill(undefined);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Item | undefined {
    return this.#ring[this.#head];
  }

  has(item: Item): boolean {
    return this.#indexOf(item) >= 0;
  }

  /** The first that matches. */
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

  /** Puts it ahead of all others. */
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
    // Those before it move up.
    for (let i = index; i > 0; i -= 1) this.#ring[this.#at(i)] = this.#ring[this.#at(i - 1)];
    this.shift();
  }

  /** A copy. */
  toArray(): Item[] {
    return Array.from({ length: this.#size }, (_, i) => this.#ring[this.#at(i)] as Item); // none is undefined
  }

  /** Where the one is that comes so many after the first. */
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
