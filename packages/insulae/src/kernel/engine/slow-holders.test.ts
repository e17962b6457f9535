import { expect, test } from "vitest";
import { createSlowHolders } from "./slow-holders.ts";

test("whoever held up others goes with the slow for ten seconds", () => {
  const holders = createSlowHolders();
  expect(holders.add("a", 0)).toBe(true);
  expect(holders.has("a", 9_999)).toBe(true);
  expect(holders.has("b", 1)).toBe(false);
  expect(holders.has("a", 10_001)).toBe(false);
});

test("when many are slow, it is the server, and no more are told apart until some are not", () => {
  const holders = createSlowHolders();
  for (let n = 0; n < 16; n += 1) expect(holders.add(`tenant ${n}`, 0)).toBe(true);
  expect(holders.add("a", 1)).toBe(false);
  expect(holders.add("tenant 1", 1)).toBe(true);
  expect(holders.add("a", 10_002)).toBe(true);
});
