import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test } from "vitest";
import type { Config } from "../config/config.ts";
import { until } from "../testing/until.ts";
import { type ConsoleBuild, createConsoleBuild } from "./console-build.ts";

const development = { console: "on", env: "development" } as const;
const builds: ConsoleBuild[] = [];
afterEach(() => {
  for (const build of builds.splice(0)) build.stop();
});

/** Sources with a build that takes its time, counts itself, and says what it was given. */
function checkout(script = "") {
  const root = mkdtempSync(join(tmpdir(), "insulae-console-sources-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "build"));
  writeFileSync(join(root, "source.txt"), "one");
  writeFileSync(
    join(root, "build/source-hash.ts"),
    `import { readFileSync } from "node:fs";
     export const sourceHash = (root: string) => readFileSync(root + "/source.txt", "utf8");`,
  );
  writeFileSync(
    join(root, "build/build.ts"),
    `import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
     import { getPriority } from "node:os";
     import { sourceHash } from "./source-hash.ts";
     ${script}
     appendFileSync("count.txt", "x");
     writeFileSync("given.json", JSON.stringify({ ...process.env, priority: getPriority() }));
     mkdirSync("dist", { recursive: true });
     writeFileSync("dist/manifest.json", JSON.stringify({ source: sourceHash("."), files: {} }));`,
  );
  const read = (file: string) => {
    const path = join(root, file);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  const errors: unknown[] = [];
  const start = (config: Pick<Config, "console" | "env"> = development) => {
    const log = { error: (...about: unknown[]) => void errors.push(about) };
    const build = createConsoleBuild(config, log as never, root);
    builds.push(build);
    build.start();
    return build;
  };
  const isBuilt = (source: string) => () => read("dist/manifest.json").includes(`"${source}"`);
  return { root, read, start, errors, isBuilt };
}

test("builds what was never built or has changed, once, without the server's secrets", async () => {
  const { root, read, start, isBuilt } = checkout();
  process.env.MASTER_SECRET_OF_TEST = "secret";
  onTestFinished(() => void delete process.env.MASTER_SECRET_OF_TEST);
  start();
  start();
  await until("it is built", isBuilt("one"));
  expect(JSON.parse(read("given.json"))).not.toHaveProperty("MASTER_SECRET_OF_TEST");
  expect(JSON.parse(read("given.json")).priority).toBeGreaterThan(0);
  for (const build of builds.splice(0)) build.stop();

  writeFileSync(join(root, "source.txt"), "two");
  start();
  await until("it is built anew", isBuilt("two"));
  expect(read("count.txt")).toBe("xx");
});

test("leaves alone what is up to date, or is not wanted", async () => {
  const unwanted = checkout();
  unwanted.start({ console: "off", env: "development" });
  unwanted.start({ console: "platform", env: "production" });
  unwanted.start({ console: "on", env: "test" });
  const done = checkout();
  mkdirSync(join(done.root, "dist"));
  writeFileSync(join(done.root, "dist/manifest.json"), JSON.stringify({ source: "one" }));
  done.start();
  // Begun later, and has ended.
  const other = checkout();
  other.start();
  await until("another one is built", other.isBuilt("one"));
  expect([unwanted.read("count.txt"), done.read("count.txt")]).toEqual(["", ""]);
});

test("says why a build has failed", async () => {
  const { start, errors } = checkout(`throw new Error("no such component");`);
  start();
  await until("it has failed", () => errors.length > 0);
  expect(JSON.stringify(errors)).toContain("no such component");
});
