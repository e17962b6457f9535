/**
 * The workers of a node, as processes of `node:cluster`: the primary accepts connections and gives them to the
 * workers in turn.
 *
 *     fork ──► starting ──► listening ──► ended: another takes its place, later and later
 *                 │                         ▲    if they end within ten seconds
 *                 └── fails: the start fails │
 *     stop ──► each drains, finishes and ends ┘
 */
import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { Config } from "../config.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import type { WorkersHub } from "../kernel/workers/hub.ts";
import { createPeer, type Peer } from "../kernel/workers/peer.ts";
import { CommandError, type Failure } from "./failure.ts";
import { type WorkerRole, workerVariable } from "./start-worker.ts";

export interface Crew {
  /** @returns where they listen, once all do. @throws CommandError as the first one that can't start */
  start(): Promise<string>;
  tellAll(topic: string): void;
  /** Stops all in good order. */
  stop(): Promise<void>;
}

export interface CrewOptions {
  readonly workers: number;
  readonly overrides: Partial<Config>;
  readonly json: boolean;
  readonly hub: WorkersHub;
  readonly log: Logger;
}

const soonMs = 10_000;
const firstDelayMs = 500;
const longestDelayMs = 30_000;

interface Member {
  readonly process: Worker;
  readonly peer: Peer;
}

export function createCrew({ workers, overrides, json, hub, log }: CrewOptions): Crew {
  const members = new Map<number, Member>();
  const timers = new Set<NodeJS.Timeout>();
  let state: "starting" | "running" | "stopping" = "starting";
  const failedStart = Promise.withResolvers<never>();
  cluster.setupPrimary({
    exec: process.argv[1] ?? "",
    args: ["start"],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });

  /** @returns where it listens. */
  const fork = (id: number, delayMs: number): Promise<string> => {
    const role: WorkerRole = { id, workers, overrides, json };
    const worker = cluster.fork({ [workerVariable]: JSON.stringify(role) });
    const startedAt = performance.now();
    const listening = Promise.withResolvers<string>();
    const peer = createPeer({
      send: (message) => worker.process.send(message as object, undefined, undefined, () => {}),
      onMessage: (handle) => worker.on("message", handle),
    });
    const leave = hub.add(id, peer);
    members.set(id, { process: worker, peer });
    peer.on("listening", listening.resolve);
    peer.on<Failure>("failed", ({ code, message, exitCode }) =>
      listening.reject(new CommandError(code, message, exitCode)),
    );
    if (worker.process.stdout) passOnLines(worker.process.stdout);
    worker.once("exit", (code, signal) => {
      leave();
      members.delete(id);
      const ended = new CommandError("worker_ended", `Worker ${id} has ended (${signal ?? code}).`);
      listening.reject(ended);
      if (state === "starting") failedStart.reject(ended);
      if (state !== "running") return;
      const soon = performance.now() - startedAt < soonMs;
      const retryMs = soon ? delayMs : 0;
      log.error(
        { worker: id, code, signal, retry_ms: retryMs },
        "A worker has ended: replacing it",
      );
      const next = Math.min(longestDelayMs, soon ? delayMs * 2 : firstDelayMs);
      later(retryMs, () => replace(id, next));
    });
    return listening.promise;
  };
  const replace = (id: number, delayMs: number): void => {
    fork(id, delayMs).then(
      () => log.info({ worker: id }, "A worker has taken the place of one that ended"),
      (error: unknown) => log.error({ err: error, worker: id }, "A worker could not start"),
    );
  };
  const later = (ms: number, work: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  };

  return {
    async start() {
      const ids = Array.from({ length: workers }, (_, index) => index + 1);
      const all = Promise.all(ids.map((id) => fork(id, firstDelayMs)));
      const [address = ""] = await Promise.race([all, failedStart.promise]);
      state = "running";
      return address;
    },
    tellAll(topic) {
      for (const { peer } of members.values()) peer.tell(topic);
    },
    async stop() {
      state = "stopping";
      for (const timer of timers) clearTimeout(timer);
      const ended = [...members.values()].map(({ process: worker, peer }) => {
        peer.tell("stop");
        return once(worker, "exit");
      });
      await Promise.all(ended);
    },
  };
}

/** Whole lines, so that those of several workers don't mix. */
function passOnLines(output: Readable): void {
  let rest = Buffer.alloc(0);
  output.on("data", (chunk: Buffer) => {
    const end = chunk.lastIndexOf("\n") + 1;
    if (end > 0) process.stdout.write(Buffer.concat([rest, chunk.subarray(0, end)]));
    rest = Buffer.concat([end > 0 ? Buffer.alloc(0) : rest, chunk.subarray(end)]);
  });
  output.on("end", () => process.stdout.write(rest));
}
