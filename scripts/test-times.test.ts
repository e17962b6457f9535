import { globSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";
import { reasons, timesOf } from "./test-times.ts";

const quick = Array.from({ length: 96 }, (_, i) => ({ file: `a/quick${i}.test.ts`, ms: 1_000 }));
const slow = [
  { file: "a/slow.test.ts", ms: 12_345 },
  { file: "a/slower.test.ts", ms: 61_000 },
  { file: "a/slowest.test.ts", ms: 90_000 },
];

test("files over ten seconds are shown, and those over a minute without a reason are too slow", () => {
  const reasons = { "slowest.test.ts": "it makes 1,000 tenants" };
  const { lines, tooSlow } = timesOf([...quick, ...slow], reasons);
  expect(lines).toEqual([
    "  90.0 s  a/slowest.test.ts: it makes 1,000 tenants",
    "  61.0 s  a/slower.test.ts",
    "  12.3 s  a/slow.test.ts",
  ]);
  expect(tooSlow).toEqual(["a/slower.test.ts"]);
});

test("if all files take longer, a single one may too", () => {
  const busy = quick.map(({ file }) => ({ file, ms: 5_000 }));
  expect(timesOf([...busy, ...slow], {}).tooSlow).toEqual([]);
});

test("each file that may take longer exists", () => {
  const files = globSync("{packages,scripts,examples}/**/*.test.ts", {
    exclude: ["**/node_modules/**"],
  }).map((file) => basename(file));
  expect(Object.keys(reasons).filter((file) => !files.includes(file))).toEqual([]);
});
