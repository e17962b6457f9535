import { expect, test } from "vitest";
import { createSlowHolders } from "./slow-holders.ts";

test("who was slow goes with the slow for a while, ten times as long as it took", () => {
  const holders = createSlowHolders(50);
  holders.isSlow("b", 0);
  holders.note("a", 49, 0);
  expect(holders.isSlow("a", 0)).toBe(false);
  holders.note("a", 500, 0);
  expect(holders.isSlow("a", 10)).toBe(true);
  expect(holders.isSlow("b", 4_000)).toBe(false);
  expect(holders.isSlow("a", 4_999)).toBe(true);
  expect(holders.isSlow("a", 5_000)).toBe(false);
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

test("the control plane is never told apart", () => {
  const holders = createSlowHolders(50);
  holders.isSlow("a", 0);
  holders.note("", 60_000, 0);
  expect(holders.isSlow("", 1)).toBe(false);
});
