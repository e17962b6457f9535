/**
 * The postmaster is PostgreSQL's main process. It says in `postmaster.pid` who and how far it is,
 * and refuses to start where that file names a living process. It carries two marks of ours in its
 * command line, which live and die with it: the cluster's id, so that a process which merely has
 * its old pid is told apart, and its owner (pid and birth), so that one whose owner was killed is.
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
  /** Running, and its owner (perhaps this process) watches over it. */
  | { readonly kind: "owned"; readonly pid: number }
  /** Running, and its owner is no more. */
  | { readonly kind: "orphan"; readonly pid: number };

const mark = (folder: DataFolder) => `cluster_name=insulae-${folder.id}`;

/** The arguments by which `findPostmaster` knows the server again. */
export function marks(folder: DataFolder): string[] {
  const owner = `${process.pid}:${birthOf(process.pid)}`;
  return ["-c", mark(folder), "-c", `insulae.owner=${owner}`];
}

/** Finds the server of a data folder; what a dead one left behind is cleared away. */
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
      `A PostgreSQL that Insulae did not start (pid ${written.pid}) runs on ${folder.cluster}: ` +
        "stop it, and start again.",
    );
  }
  removeStale(folder, written.content);
  return { kind: "none" };
}

/** Whether the process is (still) the server of this folder. */
export const isRunning = (folder: DataFolder, pid: number): boolean =>
  commandLine(pid)?.includes(mark(folder)) ?? false;

/** Where the running server is reached. */
export function readEndpoint(folder: DataFolder): Endpoint {
  const written = readPidFile(folder);
  if (written === undefined) throw new EmbeddedError("PostgreSQL ended while it was starting");
  return { port: Number(written.lines[3]), socketFolder: written.lines[4] ?? "" };
}

/** What `postmaster.pid` says (PostgreSQL documentation, "Database File Layout"). */
function readPidFile(folder: DataFolder) {
  try {
    const content = readFileSync(join(folder.cluster, "postmaster.pid"), "utf8");
    const lines = content.split("\n");
    const pid = Math.abs(Number.parseInt(lines[0] ?? "", 10));
    // Just made, and not yet written: whoever makes it is alive, and about to write it.
    return Number.isNaN(pid) ? undefined : { content, lines, pid };
  } catch {
    return undefined;
  }
}

/** Taken aside first: another start may have cleared it away meanwhile, and begun a server. */
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
 * Waits until the server takes connections. After a crash it first replays its log, which may take
 * a while; `log` hears of that.
 * @returns false if `ended()` came true first, or the server has another pid or none.
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
      log("PostgreSQL is still starting (after a crash it first replays its log) …");
    }
    await sleep(10);
  }
  return false;
}

export interface ShutDownOptions {
  readonly send: (name: NodeJS.Signals) => void;
  readonly ended: () => boolean;
  /** What the server has done so far; the same text twice: nothing in between. */
  readonly work: () => string;
  readonly log: (message: string) => void;
  /** For how long it may do nothing before it is given up. Default 30,000. */
  readonly patienceMs?: number;
}

/**
 * Shuts the server down ("fast" mode): open transactions are rolled back, and a checkpoint writes
 * everything to disk, so that the next start has nothing to replay. That takes as long as it takes, and
 * `log` hears of it. A server that does nothing any more is stopped at once instead ("immediate" mode),
 * and replays its log at the next start.
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
      log("PostgreSQL does nothing any more: it is stopped at once …");
      send("SIGQUIT");
      lookAt = Number.POSITIVE_INFINITY;
    }
  }
}
