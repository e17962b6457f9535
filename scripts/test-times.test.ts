import { globSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";
import { reasons, timesOf } from "./test-times.ts";

test("files above ten seconds are shown, and those above a minute without a reason are too slow", () => {
  const files = [
    { file: "a/quick.test.ts", ms: 9_000 },
    { file: "a/slow.test.ts", ms: 12_345 },
    { file: "a/slower.test.ts", ms: 61_000 },
    { file: "a/slowest.test.ts", ms: 90_000 },
  ];
  const { lines, tooSlow } = timesOf(files, { "slowest.test.ts": "it makes 1,000 tenants" });
  expect(lines).toEqual([
    "  90.0 s  a/slowest.test.ts: it makes 1,000 tenants",
    "  61.0 s  a/slower.test.ts",
    "  12.3 s  a/slow.test.ts",
  ]);
  expect(tooSlow).toEqual(["a/slower.test.ts"]);
});

test("each file that may take longer exists", () => {
  const files = globSync("{packages,scripts,examples}/**/*.test.ts", {
    exclude: ["**/node_modules/**"],
  }).map((file) => basename(file));
  expect(Object.keys(reasons).filter((file) => !files.includes(file))).toEqual([]);
});
