/**
 * Identifies the postmaster, PostgreSQL's main process. Its `postmaster.pid` contains its pid and
 * state, and it refuses to start if that file names a living process. Its command line has two
 * marks of ours, which exist exactly as long as it does: the cluster's id, so that a process with a
 * reused pid is not mistaken for it, and its owner (pid and start time), so that we can tell
 * whether the owner was killed.
 */
import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DataFolder } from "./data-folder.ts";
import { EmbeddedError } from "./failure.ts";
import { birthOf, commandLine } from "./processes.ts";
import type { Endpoint } from "./socket-folder.ts";

export type Found =
  | { readonly kind: "none" }
  /** Running and supervised by its owner (perhaps this process). */
  | { readonly kind: "owned"; readonly pid: number }
  /** Running, but its owner is gone. */
  | { readonly kind: "orphan"; readonly pid: number };

const mark = (folder: DataFolder) => `cluster_name=insulae-${folder.id}`;

/** The arguments by which `findPostmaster` recognises the server. */
export function marks(folder: DataFolder): string[] {
  const owner = `${process.pid}:${birthOf(process.pid)}`;
  return ["-c", mark(folder), "-c", `insulae.owner=${owner}`];
}

/** Finds the server of a data folder, and removes the remains of a dead one. */
export function findPostmaster(folder: DataFolder): Found {
  const written = readPidFile(folder);
  if (written === undefined) return { kind: "none" };
  const command = commandLine(written.pid);
  if (command?.includes(mark(folder))) {
    const [, pid, birth] = /insulae\.owner=(\d+):(\S+)/.exec(command) ?? [];
    const alive = pid !== undefined && birthOf(Number(pid)) === birth;
    return { kind: alive ? "owned" : "orphan", pid: written.pid };
  }
  const isPostgres = command !== undefined && /postgres/.test(command);
  if (isPostgres && !command.includes("cluster_name=insulae-")) {
    throw new EmbeddedError(
      `A PostgreSQL that Insulae did not start (pid ${written.pid}) is running on ${folder.cluster}: ` +
        "stop it, and start again.",
    );
  }
  removeStale(folder, written.content);
  return { kind: "none" };
}

/** Whether the process is (still) the server of this folder. */
export const isRunning = (folder: DataFolder, pid: number): boolean =>
  commandLine(pid)?.includes(mark(folder)) ?? false;

/** The endpoint of the running server. */
export function readEndpoint(folder: DataFolder): Endpoint {
  const written = readPidFile(folder);
  if (written === undefined) throw new EmbeddedError("PostgreSQL exited while it was starting");
  return { port: Number(written.lines[3]), socketFolder: written.lines[4] ?? "" };
}

/** Parses `postmaster.pid` (PostgreSQL documentation, "Database File Layout"). */
function readPidFile(folder: DataFolder) {
  try {
    const content = readFileSync(join(folder.cluster, "postmaster.pid"), "utf8");
    const lines = content.split("\n");
    const pid = Math.abs(Number.parseInt(lines[0] ?? "", 10));
    // Just created and not written yet: its creator is alive.
    return Number.isNaN(pid) ? undefined : { content, lines, pid };
  } catch {
    return undefined;
  }
}

/** Renames it first: another start may have removed it meanwhile and launched a server. */
function removeStale(folder: DataFolder, content: string): void {
  const path = join(folder.cluster, "postmaster.pid");
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (readFileSync(aside, "utf8") === content) rmSync(aside);
  else renameSync(aside, path);
}

/**
 * Waits until the server accepts connections. After a crash it first replays its write-ahead log,
 * which may take a while and is reported to `log`.
 *
 * @returns false if `ended()` became true first, or the server has a different pid or none
 */
export async function untilReady(
  folder: DataFolder,
  pid: number,
  ended: () => boolean,
  log: (message: string) => void,
): Promise<boolean> {
  let toldAt = Date.now();
  while (!ended()) {
    const written = readPidFile(folder);
    if (written?.pid === pid && written.lines[7]?.trim() === "ready") return true;
    if (Date.now() - toldAt > 3000) {
      toldAt = Date.now();
      log("PostgreSQL is still starting (after a crash it replays its write-ahead log) …");
    }
    await sleep(10);
  }
  return false;
}

export interface ShutDownOptions {
  readonly send: (name: NodeJS.Signals) => void;
  readonly ended: () => boolean;
  /** A text that changes whenever the server has done something. */
  readonly work: () => string;
  readonly log: (message: string) => void;
  /** How long it may be idle before giving up, in milliseconds. Default 30,000. */
  readonly patienceMs?: number;
}

/**
 * Shuts the server down ("fast" mode): open transactions are rolled back, and a checkpoint writes
 * everything to disk, so that the next start has nothing to replay. This takes as long as it needs,
 * and is reported to `log`. A server that makes no progress is stopped immediately ("immediate"
 * mode) and replays its log at the next start.
 */
export async function shutDown(options: ShutDownOptions): Promise<void> {
  const { send, ended, work, log, patienceMs = 30_000 } = options;
  send("SIGINT");
  let seen = "";
  let changedAt = performance.now();
  let lookAt = changedAt + Math.min(2_000, patienceMs);
  for (; !ended(); await sleep(5)) {
    const now = performance.now();
    if (now < lookAt) continue;
    lookAt = now + Math.min(5_000, patienceMs);
    const done = work();
    if (done !== seen) {
      [seen, changedAt] = [done, now];
      log("PostgreSQL is writing its checkpoint, so that the next start is quick …");
    } else if (now - changedAt >= patienceMs) {
      log("PostgreSQL makes no progress: stopping it immediately …");
      send("SIGQUIT");
      lookAt = Number.POSITIVE_INFINITY;
    }
  }
}
