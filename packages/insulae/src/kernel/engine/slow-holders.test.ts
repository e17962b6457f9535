import { expect, test } from "vitest";
import { createSlowHolders } from "./slow-holders.ts";

const together = () => {
  const holders = createSlowHolders(50);
  holders.isSlow("b", 0);
  holders.isSlow("a", 0);
  return {
    ...holders,
    /** With another tenant at work at the same time. */
    isSlow(holder: string, now: number) {
      holders.isSlow("other", now);
      return holders.isSlow(holder, now);
    },
  };
};

test("who was slow goes with the slow until its time is forgiven", () => {
  const holders = together();
  holders.note("a", 500, 0);
  expect(holders.isSlow("a", 10)).toBe(true);
  expect(holders.isSlow("b", 10)).toBe(false);
  expect(holders.isSlow("a", 3_900)).toBe(true);
  expect(holders.isSlow("a", 4_100)).toBe(false);
});

test("a slow moment is forgiven, several are not", () => {
  const holders = together();
  holders.note("a", 49, 0);
  holders.note("a", 60, 0);
  expect(holders.isSlow("a", 0)).toBe(false);
  holders.note("a", 60, 100);
  expect(holders.isSlow("a", 100)).toBe(true);
});

test("who is alone is in nobody's way", () => {
  const holders = createSlowHolders(50);
  holders.isSlow("a", 0);
  holders.note("a", 60_000, 0);
  expect(holders.isSlow("a", 1)).toBe(false);
  holders.isSlow("b", 10_000);
  expect(holders.isSlow("a", 10_001)).toBe(true);
  expect(holders.isSlow("a", 11_500)).toBe(false);
});

test("when many are slow nobody is told apart, until they are not", () => {
  const holders = together();
  holders.note("a", 6_000, 0);
  for (let n = 0; n < 16; n += 1) holders.note(`tenant ${n}`, 60, 0);
  expect(holders.isSlow("a", 1)).toBe(false);
  holders.note("tenant 1", 60, 1_000);
  expect(holders.isSlow("a", 1_001)).toBe(true);
});

test("the control plane is never told apart", () => {
  const holders = together();
  holders.note("", 60_000, 0);
  expect(holders.isSlow("", 1)).toBe(false);
});
