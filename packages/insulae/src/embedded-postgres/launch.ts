import { spawn } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  fstatSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
} from "node:fs";
import { type Binaries, serverEnvironment } from "./binaries.ts";
import { type DataFolder, giveTo } from "./data-folder.ts";
import { explainRunError } from "./failure.ts";
import { marks } from "./postmaster.ts";
import { send } from "./processes.ts";
import { pathForServer } from "./server-user.ts";
import type { Settings } from "./settings.ts";
import { makeSocketFolder } from "./socket-folder.ts";
import { startWatchdog } from "./watchdog.ts";

export interface Launched {
  readonly pid: number;
  /** Resolves when the process has exited. */
  readonly exited: Promise<void>;
  hasExited(): boolean;
  send(name: NodeJS.Signals): void;
  /** Its log output since it was started. */
  output(): string;
}

/** Starts the server's process, and the watchdog that stops it if we are killed. */
export async function launch(
  folder: DataFolder,
  binaries: Binaries,
  socket: string,
  settings: Settings,
): Promise<Launched> {
  makeSocketFolder(socket, folder.user);
  rotateLog(folder.logFile);
  const log = openSync(folder.logFile, "a", 0o600);
  giveTo(folder.user, folder.logFile);
  const logStart = fstatSync(log).size;
  const watchdog = startWatchdog(folder.user);
  const child = spawn(
    binaries.postgres,
    [
      ...["-D", pathForServer(folder.user, folder.cluster), ...marks(folder)],
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    {
      ...folder.user,
      cwd: folder.cluster,
      env: serverEnvironment,
      detached: true,
      stdio: ["ignore", log, log],
    },
  );
  if (child.pid !== undefined) watchdog.guard(child.pid);
  closeSync(log);
  child.unref();
  let gone = false;
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => {
      gone = true;
      watchdog.dismiss();
      resolve();
    });
  });
  const { pid } = child;
  if (pid === undefined) {
    watchdog.dismiss();
    const error = await new Promise((resolve) => child.once("error", resolve));
    throw explainRunError(error, binaries.postgres);
  }
  const output = () => readFileSync(folder.logFile).subarray(logStart).toString("utf8");
  const signal = (name: NodeJS.Signals) => {
    if (!gone && !send(pid, name)) watchdog.send(name);
  };
  return { pid, exited, hasExited: () => gone, send: signal, output };
}

const largestLog = 8 * 2 ** 20;

/** Keeps the log and its predecessor, 8 MiB each: little is logged (see settings.ts). */
export function rotateLog(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= largestLog) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path); // Truncated, not renamed: a running server keeps appending to this file.
}
