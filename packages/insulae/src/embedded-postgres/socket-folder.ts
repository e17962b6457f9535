/**
 * Chooses the folder of the Unix socket. A socket is faster than loopback TCP, needs no free port,
 * and is inaccessible to other users. But its path is limited to 103 bytes (macOS; 107 on Linux),
 * the server's user must be able to traverse all parent folders, and some file systems (a folder
 * shared with a virtual machine) don't support sockets. So it is in the data folder if possible,
 * otherwise in a private folder with a short path.
 */
import { lstatSync, mkdirSync, rmdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type DataFolder, giveTo } from "./data-folder.ts";
import { EmbeddedError } from "./failure.ts";
import { canReach, type ServerUser } from "./server-user.ts";

/** Where to reach a server: the port names the socket's file. */
export interface Endpoint {
  readonly socketFolder: string;
  readonly port: number;
}

const longestPath = 103;

/** The same for the same data folder, so that its URL stays. */
export async function chooseSocketFolder(folder: DataFolder): Promise<string> {
  const name = `insulae-${folder.id}`;
  const shared = [process.env.XDG_RUNTIME_DIR, tmpdir(), "/tmp"]
    .filter((place) => place !== undefined)
    .map((place) => join(place, name));
  const candidates = [join(dirname(folder.cluster), "run"), ...shared];
  for (const path of candidates) {
    if (Buffer.byteLength(join(path, ".s.PGSQL.65535.lock")) > longestPath) continue;
    if (await isUsable(path, folder.user)) return path;
  }
  throw new EmbeddedError(
    `None of ${candidates.join(", ")} can hold PostgreSQL's socket: each path is too long, ` +
      "belongs to somebody else, or is not writable. Set TMPDIR to a folder of your own with a short path.",
  );
}

async function isUsable(path: string, user: ServerUser): Promise<boolean> {
  try {
    if (!canReach(user, path)) return false;
    makeSocketFolder(path, user);
    // In a shared folder, anybody may have created something of that name.
    const found = lstatSync(path);
    const owner = user?.uid ?? process.geteuid?.();
    const isPrivate = found.isDirectory() && found.uid === owner && (found.mode & 0o077) === 0;
    return isPrivate && (await holdsSockets(path));
  } catch {
    return false;
  }
}

/** Creates the folder if missing. */
export function makeSocketFolder(path: string, user: ServerUser): void {
  try {
    mkdirSync(path, { mode: 0o700 });
    giveTo(user, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

/** Removes the folder, unless a server has its socket in it. */
export function removeSocketFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not empty: another server is using it.
  }
}

async function holdsSockets(path: string): Promise<boolean> {
  const probe = join(path, `.probe-${process.pid}`);
  rmSync(probe, { force: true });
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(probe, () => server.close(() => resolve(true)));
  });
}
