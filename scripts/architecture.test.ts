/** docs/architecture.md matches the code. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const source = "packages/insulae/src";
const page = readFileSync("docs/architecture.md", "utf8");

test("the page quotes the steps of pipeline.ts", () => {
  const [, quoted = ""] = /^```ts\n([\s\S]*?)^```$/m.exec(page) ?? [];
  expect(quoted).toContain("refuseMalformed");
  expect(readFileSync(join(source, "kernel/http/request/pipeline.ts"), "utf8")).toContain(quoted);
});

test("the files on the path of a request exist, at most 25, each named once", () => {
  const files = [...page.matchAll(/^\| \d+ \| `([^`]+)` \|/gm)].map(([, file = ""]) => file);
  expect(files.length).toBeGreaterThan(0);
  expect(files.length).toBeLessThanOrEqual(25);
  expect(files.filter((file) => !existsSync(join(source, file)))).toEqual([]);
  expect(new Set(files).size).toBe(files.length);
});
