/** Runs what docs/testing.md shows, verbatim, with both test runners. */
import { execFileSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf } from "./page-blocks.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
// Inside the workspace, so that "insulae" is found as if installed.
const place = `${root}acceptance/.snippets/testing-${process.pid}/`;
let snippets: readonly string[];

beforeAll(async () => {
  const blocks = await blocksOf("docs/testing.md");
  snippets = blocks.filter(({ language }) => language === "ts").map(({ code }) => code);
  await mkdir(place, { recursive: true });
});
afterAll(() => rm(place, { recursive: true, force: true }));

const run = (...command: string[]): string =>
  execFileSync(process.execPath, command, {
    cwd: place,
    encoding: "utf8",
    stdio: "pipe",
    // Without the environment of the runner of this test.
    env: { PATH: process.env.PATH },
  });

test("a feature's test passes with Node's own runner", async () => {
  const [code = ""] = snippets;
  const feature = "./invoices.feature.ts";
  expect(code).toContain(feature);
  const found = code.replace(feature, `${root}examples/invoices/invoices.feature.ts`);
  await writeFile(`${place}invoices.node.ts`, found);
  expect(run("--test", "--test-reporter=tap", "invoices.node.ts")).toMatch(/^# pass 2$/m);
}, 120_000);

test("and with Vitest, whose files share one PostgreSQL", async () => {
  const [code = "", config = ""] = snippets;
  const feature = "./invoices.feature.ts";
  const found = code
    .replace(feature, `${root}examples/invoices/invoices.feature.ts`)
    .replace(
      'import { after, before, test } from "node:test";',
      'import { afterAll as after, beforeAll as before, test } from "vitest";',
    );
  for (const name of ["one", "two"]) await writeFile(`${place}${name}.test.ts`, found);
  await writeFile(`${place}vitest.config.ts`, config);
  const output = run(`${root}node_modules/vitest/vitest.mjs`, "run", "--reporter=tap");
  expect(output.match(/^ +ok .*tenant B cannot/gm)).toHaveLength(2);
}, 120_000);
