import { setTimeout as sleep } from "node:timers/promises";
import type { DataFolder } from "./data-folder.ts";
import { EmbeddedError, explainOutput } from "./failure.ts";
import { type Launched, rotateLog } from "./launch.ts";
import { findPostmaster, isRunning, shutDown, untilReady } from "./postmaster.ts";
import { send, workOf } from "./processes.ts";

/** A running server. `owned`: this process started it and has to stop it. */
export interface Running {
  readonly pid: number;
  readonly owned: Launched | undefined;
}

type Log = (message: string) => void;

/** Attaches to the folder's server if it is running and supervised; otherwise starts one. */
export async function attachOrLaunch(
  folder: DataFolder,
  launch: () => Promise<Launched>,
  log: Log,
): Promise<Running> {
  for (let attempt = 1; ; attempt += 1) {
    const found = findPostmaster(folder);
    if (found.kind === "none") {
      const owned = await launch();
      const ready = await untilReady(folder, owned.pid, owned.hasExited, log);
      if (ready) return { pid: owned.pid, owned };
      if (attempt > 100 || !lostRace.test(owned.output())) {
        throw explainOutput("postgres", owned.output(), folder.root);
      }
      await sleep(50);
      continue;
    }
    const gone = () => !isRunning(folder, found.pid);
    if (found.kind === "owned") {
      const ready = await untilReady(folder, found.pid, gone, log);
      if (ready) return { pid: found.pid, owned: undefined };
    } else {
      log(`Stopping the PostgreSQL (pid ${found.pid}) of a process that was killed …`);
      const order = (name: NodeJS.Signals) => {
        if (send(found.pid, name)) return;
        throw new EmbeddedError(`It belongs to another user. Stop it: kill -INT ${found.pid}`);
      };
      await shutDown({ send: order, ended: gone, work: () => workOf(found.pid), log });
    }
  }
}

/**
 * Another start was faster; or the last processes of a killed server are still exiting; or the
 * process that stopped the previous server has just removed the socket's folder.
 */
const lostRace =
  /lock file "postmaster.pid" already exists|shared memory block .* still in use|could not create lock file .*: No such file/;

/**
 * Supervises a server until it is stopped, restarting it if it exits. Does not keep this process
 * alive.
 *
 * @param stopOwned shuts the server down once nobody else uses it
 * @returns a function that stops it
 */
export function keepRunning(
  folder: DataFolder,
  first: Running,
  start: () => Promise<Running>,
  log: Log,
  stopOwned: (shutDown: () => Promise<void>) => Promise<void>,
): () => Promise<void> {
  let current = first;
  let stopping = false;
  let restarting: Promise<void> | undefined;

  const restart = async () => {
    for (let pause = 200; !stopping; pause = Math.min(pause * 2, 10_000)) {
      try {
        current = await start();
        return;
      } catch (error) {
        log(`Could not restart PostgreSQL: ${error instanceof Error ? error.message : error}`);
        await sleep(pause, undefined, { ref: false });
      }
    }
  };
  const watch = async () => {
    while (!stopping) {
      await untilEnded(folder, current);
      if (stopping) return;
      log("PostgreSQL exited unexpectedly: restarting it …");
      restarting = restart();
      await restarting;
    }
  };
  void watch();

  return async () => {
    stopping = true;
    await restarting;
    const { owned } = current;
    if (owned === undefined) return;
    const { pid, send, hasExited } = owned;
    await stopOwned(() => shutDown({ send, ended: hasExited, work: () => workOf(pid), log }));
  };
}

async function untilEnded(folder: DataFolder, running: Running): Promise<void> {
  if (running.owned === undefined) {
    while (isRunning(folder, running.pid)) await sleep(500, undefined, { ref: false });
    return;
  }
  const hourly = setInterval(rotateLog, 3_600_000, folder.logFile).unref();
  await running.owned.exited;
  clearInterval(hourly);
}
