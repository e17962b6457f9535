import { expect, test } from "vitest";
import type { Lane } from "./lane.ts";
import { createLanePool } from "./lane-pool.ts";

/** A lane as its pool sees it: how full it is, and for how long its first statement is under way. */
const lane = (inFlight: number, age = 0, isOpen = true): Lane => ({
  inFlight,
  idleSince: undefined,
  first: undefined,
  firstAge: () => age,
  workingSince: 0,
  isOpen,
  holdsUpOthers: false,
  interrupt() {},
  run() {},
  retire() {},
});
const poolOf = (
  kind: "read" | "write",
  lanes: Lane[],
  max = lanes.length,
  hasSpare: () => boolean = () => true,
) => {
  const spread = kind === "write";
  const pool = createLanePool(kind, { max, depth: 8, slowMs: 5, hasSpare, spread });
  pool.lanes.push(...lanes);
  return pool;
};

test("reads fill the first lane that is quick, writes go where the fewest are", () => {
  const lanes = [lane(7), lane(3), lane(5)];
  expect(poolOf("read", lanes).pick("a", 0)).toBe(lanes[0]);
  expect(poolOf("write", lanes).pick("a", 0)).toBe(lanes[1]);
});

test("full, slow and lost lanes are passed over", () => {
  const lanes = [lane(8), lane(1, 6), lane(1, 0, false), lane(2)];
  expect(poolOf("read", lanes).pick("a", 0)).toBe(lanes[3]);
  expect(poolOf("write", lanes).pick("a", 0)).toBe(lanes[3]);
});

test("slow lanes are used where there is no other and cannot be, the emptiest first", () => {
  const lanes = [lane(5, 10), lane(4, 20), lane(8, 6)];
  expect(poolOf("read", lanes).pick("a", 0)).toBe(lanes[1]);
  const growing = poolOf("read", lanes, 4);
  expect(growing.pick("a", 0)).toBeUndefined();
});

test("nobody gets more than an eighth of what the lanes take, and everybody gets one", () => {
  const pool = poolOf("read", [lane(0), lane(0)]);
  pool.count("a", 1);
  expect(pool.pick("a", 0)).toBeDefined();
  pool.count("a", 1);
  expect(pool.pick("a", 0)).toBeUndefined();
  expect(pool.pick("b", 0)).toBeDefined();
  pool.count("a", -1);
  expect(pool.pick("a", 0)).toBeDefined();
});

test("another read lane is wanted when something waits and no lane is quick", () => {
  const pool = poolOf("read", [lane(3, 10)], 2);
  expect(pool.wantsMore(0)).toBe(false);
  pool.queue.push("a", {} as never);
  expect(pool.wantsMore(0)).toBe(true);
  pool.opening = 1;
  expect(pool.wantsMore(0)).toBe(false);
});

test("another write lane is wanted when statements are behind others on all", () => {
  expect(poolOf("write", [lane(2), lane(1)], 3).wantsMore(0)).toBe(false);
  expect(poolOf("write", [lane(2), lane(2)], 3).wantsMore(0)).toBe(true);
  expect(poolOf("write", [lane(2), lane(2)]).wantsMore(0)).toBe(false);
  expect(poolOf("write", [], 3).wantsMore(0)).toBe(false);
});

test("without a connection to spare a pool has one lane, and uses it however slow it is", () => {
  const none = () => false;
  const waiting = {} as never;
  const empty = poolOf("write", [], 4, none);
  empty.queue.push("a", waiting);
  expect(empty.wantsMore(0)).toBe(true);

  const only = lane(5, 10);
  const pool = poolOf("write", [only], 4, none);
  pool.queue.push("a", waiting);
  expect(pool.wantsMore(0)).toBe(false);
  expect(pool.pick("a", 0)).toBe(only);
});
