/**
 * What is under way, in the order of its coming; mostly the first is the next to leave.
 *
 * Not a `Set`: one that is always in use is copied into a new table every few items, and the old table
 * goes on pointing to the new one. Once such a table has reached V8's old generation, all tables after
 * it do, and with them all that they ever held: a flood's answers, megabytes of them, were copied over
 * and over, and everybody's p99 was that of the collector.
 */
export class Fifo<Item> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  get first(): Item | undefined {
    return this.#items[this.#head];
  }

  has(item: Item): boolean {
    return this.#items.indexOf(item, this.#head) >= 0;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** Puts it ahead of all others. */
  unshift(item: Item): void {
    if (this.#head > 0) {
      this.#head -= 1;
      this.#items[this.#head] = item;
    } else this.#items.unshift(item);
  }

  shift(): Item | undefined {
    const item = this.first;
    this.#dropFirst();
    return item;
  }

  delete(item: Item): void {
    if (this.size > 0 && this.first === item) this.#dropFirst();
    else {
      const at = this.#items.indexOf(item, this.#head);
      if (at >= 0) this.#items.splice(at, 1);
    }
  }

  /** A copy. */
  toArray(): Item[] {
    return this.#items.slice(this.#head) as Item[]; // only what is before the head is undefined
  }

  #dropFirst(): void {
    if (this.size === 0) return;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.size === 0) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= 512) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}
