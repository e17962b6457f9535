import fc from "fast-check";
import { expect, test } from "vitest";
import { createFairQueue } from "./fair-queue.ts";

const drain = <Item>(queue: ReturnType<typeof createFairQueue<Item>>): Item[] => {
  const items: Item[] = [];
  while (queue.size > 0) items.push(queue.next(() => true) as Item);
  return items;
};

test("lines are served in turn, each in its own order", () => {
  const queue = createFairQueue<string>();
  for (const item of ["a1", "a2", "a3", "b1", "c1", "b2"]) queue.push(item.charAt(0), item);
  expect(drain(queue)).toEqual(["a1", "b1", "c1", "a2", "b2", "a3"]);
});

test("a line whose turn is refused does not hold up the others", () => {
  const queue = createFairQueue<string>();
  for (const item of ["a1", "b1"]) queue.push(item.charAt(0), item);
  expect(queue.next((_, holder) => holder !== "a")).toBe("b1");
  expect(queue.next((_, holder) => holder !== "a")).toBeUndefined();
  expect(queue.size).toBe(1);
});

test("what comes back goes ahead of its line", () => {
  const queue = createFairQueue<string>();
  for (const item of ["a1", "a2"]) queue.push("a", item);
  const first = queue.next(() => true) as string;
  queue.unshift("a", first);
  queue.unshift("b", "b0");
  expect(drain(queue)).toEqual(["a1", "b0", "a2"]);
});

test("everything that goes in comes out once, in order within its line, and fairly", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(4), { maxLength: 200 }), (holders) => {
      const queue = createFairQueue<{ holder: string; n: number }>();
      holders.forEach((holder, n) => {
        queue.push(String(holder), { holder: String(holder), n });
      });
      const out = drain(queue);
      expect(out).toHaveLength(holders.length);
      expect(new Set(out.map(({ n }) => n)).size).toBe(holders.length);
      for (const holder of new Set(out.map((each) => each.holder))) {
        const mine = out.filter((each) => each.holder === holder).map(({ n }) => n);
        expect(mine).toEqual([...mine].sort((a, b) => a - b));
      }
      // Between two of one line, no other line has two, as long as it has any.
      const rounds = new Map<string, number>();
      const ranks = out.map(({ holder }) => {
        const rank = rounds.get(holder) ?? 0;
        rounds.set(holder, rank + 1);
        return rank;
      });
      expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
    }),
  );
});

test("a long line is consumed without keeping what is gone", () => {
  const queue = createFairQueue<number>();
  for (let n = 0; n < 5_000; n += 1) queue.push("a", n);
  expect(drain(queue)).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  expect(queue.holders).toBe(0);
});

test("items are removed wherever they stand", () => {
  const queue = createFairQueue<number>();
  for (let n = 0; n < 10; n += 1) queue.push(String(n % 2), n);
  expect(queue.remove((n) => n % 4 === 0).sort()).toEqual([0, 4, 8]);
  expect(drain(queue).sort()).toEqual([1, 2, 3, 5, 6, 7, 9]);
});

test("lines that nobody uses any more are dropped, and the others go on", () => {
  const queue = createFairQueue<number>();
  queue.push("stays", -1);
  for (let n = 0; n < 2_000; n += 1) {
    queue.push(String(n), n);
    expect(queue.next((item) => item >= 0)).toBe(n);
  }
  expect(drain(queue)).toEqual([-1]);
});
