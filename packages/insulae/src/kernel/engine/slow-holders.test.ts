import { expect, test } from "vitest";
import { createSlowHolders } from "./slow-holders.ts";

test("whoever held up others goes with the slow for ten seconds", () => {
  const holders = createSlowHolders();
  holders.add("a", 0);
  expect(holders.has("a", 9_999)).toBe(true);
  expect(holders.has("b", 1)).toBe(false);
  expect(holders.has("a", 10_001)).toBe(false);
});

test("sixteen are interrupted in a second, and as many in the next", () => {
  const holders = createSlowHolders();
  const allowed = (now: number) =>
    Array.from({ length: 20 }, () => holders.mayInterrupt(now)).filter(Boolean).length;
  expect([allowed(5_000), allowed(5_900), allowed(6_000)]).toEqual([16, 0, 16]);
});
