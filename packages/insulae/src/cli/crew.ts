/**
 * The workers of a node, as `node:cluster` processes. The primary accepts connections and
 * distributes them round-robin.
 *
 *     fork ──► starting ──► listening ──► exited: replaced, with a growing delay
 *                 │                         ▲     if it lived less than ten seconds
 *                 └── fails: start() fails  │
 *     hangs ──► killed ─────────────────────┤
 *     stop ──► drains, finishes, exits ─────┘  or is killed at the deadline
 *
 * The primary pings each worker every second and counts its own ticks instead of reading the clock,
 * so a suspended machine or a busy primary does not make workers look hung.
 */
import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { Config } from "../config/config.ts";
import { CommandError, type Failure } from "../doctor/failure.ts";
import type { Logger } from "../kernel/telemetry/log.ts";
import type { WorkersHub } from "../kernel/workers/hub.ts";
import { createPeer, type Peer } from "../kernel/workers/peer.ts";
import { startCrewWatchdog } from "./crew-watchdog.ts";
import { createHandOvers } from "./hand-overs.ts";
import { type WorkerRole, workerVariable } from "./start-worker.ts";

export interface Crew {
  /** @returns their address, once all listen. @throws CommandError of the first that can't start */
  start(): Promise<string>;
  notifyAll(topic: string): void;
  /**
   * Stops all workers gracefully and kills those still running at the deadline.
   *
   * @throws Error that says how many were killed
   */
  stop(deadlineMs: number): Promise<void>;
}

export interface CrewOptions {
  readonly workers: number;
  readonly applicationFile: string | undefined;
  readonly overrides: Partial<Config>;
  readonly json: boolean;
  readonly hub: WorkersHub;
  readonly log: Logger;
}

const soonMs = 10_000;
const firstDelayMs = 500;
const longestDelayMs = 30_000;
const pingEveryMs = 1_000;
/** How many pings in a row a worker may miss. */
const maxSilence = 10;
/** The same before it listens, while it loads code and opens connections. */
const maxSilenceAtStart = 60;

interface Member {
  readonly process: Worker;
  readonly peer: Peer;
  listens: boolean;
  /** Unanswered pings. */
  silence: number;
}

export function createCrew(options: CrewOptions): Crew {
  const { workers, applicationFile, overrides, json, hub, log } = options;
  const members = new Map<number, Member>();
  const timers = new Set<NodeJS.Timeout>();
  let state: "starting" | "running" | "stopping" = "starting";
  const failedStart = Promise.withResolvers<never>();
  const watchdog = startCrewWatchdog();
  const handOvers = createHandOvers();
  const guard = () =>
    watchdog.guard([...members.values()].map(({ process: { process } }) => process.pid ?? 0));
  const kill = (id: number, why: string): void => {
    log.error({ worker: id }, `Killing a worker that ${why}`);
    members.get(id)?.process.process.kill("SIGKILL");
  };
  cluster.setupPrimary({
    exec: process.argv[1] ?? "",
    args: ["start", ...(applicationFile === undefined ? [] : ["--app", applicationFile])],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });

  /** @returns the address that it listens on */
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
    const closeUntaken = handOvers(worker);
    const member: Member = { process: worker, peer, listens: false, silence: 0 };
    members.set(id, member);
    guard();
    peer.on<string>("listening", (address) => {
      member.listens = true;
      listening.resolve(address);
    });
    peer.on<Failure>("failed", ({ code, message, exitCode }) =>
      listening.reject(new CommandError(code, message, exitCode)),
    );
    if (worker.process.stdout) forwardLines(worker.process.stdout);
    worker.once("exit", (code, signal) => {
      leave();
      closeUntaken();
      members.delete(id);
      guard();
      const ended = new CommandError("worker_ended", `Worker ${id} exited (${signal ?? code}).`);
      listening.reject(ended);
      if (state === "starting") failedStart.reject(ended);
      if (state !== "running") return;
      const soon = performance.now() - startedAt < soonMs;
      const retryMs = soon ? delayMs : 0;
      log.error(
        { worker: id, code, signal, retry_ms: retryMs },
        "A worker exited; starting a replacement",
      );
      const next = Math.min(longestDelayMs, soon ? delayMs * 2 : firstDelayMs);
      later(retryMs, () => replace(id, next));
    });
    return listening.promise;
  };
  const replace = (id: number, delayMs: number): void => {
    fork(id, delayMs).then(
      () => log.info({ worker: id }, "A replacement worker is listening"),
      (error: unknown) =>
        log.error({ err: error, worker: id }, "A replacement worker could not start"),
    );
  };
  const later = (ms: number, work: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  };

  const ping = (): void => {
    for (const [id, member] of members) {
      member.silence += 1;
      const most = member.listens ? maxSilence : maxSilenceAtStart;
      if (member.silence === most + 1) kill(id, `has not answered for ${most} seconds`);
      if (member.silence <= most)
        void member.peer.ask("ping").then(() => {
          member.silence = 0;
        });
    }
  };
  const pings = setInterval(ping, pingEveryMs).unref();
  // However this process ends: by a second signal, or by its own deadline.
  process.once("exit", () => {
    for (const { process: worker } of members.values()) worker.process.kill("SIGKILL");
  });

  return {
    async start() {
      const ids = Array.from({ length: workers }, (_, index) => index + 1);
      const all = Promise.all(ids.map((id) => fork(id, firstDelayMs)));
      const [address = ""] = await Promise.race([all, failedStart.promise]);
      state = "running";
      return address;
    },
    notifyAll(topic) {
      for (const { peer } of members.values()) peer.notify(topic);
    },
    async stop(deadlineMs) {
      state = "stopping";
      clearInterval(pings);
      for (const timer of timers) clearTimeout(timer);
      const late: number[] = [];
      const deadline = setTimeout(() => {
        late.push(...members.keys());
        for (const id of late) kill(id, "did not exit in time");
      }, deadlineMs);
      const ended = [...members.values()].map(({ process: worker, peer }) => {
        peer.notify("stop");
        return once(worker, "exit");
      });
      await Promise.all(ended);
      clearTimeout(deadline);
      if (late.length > 0) throw new Error(`${late.length} workers did not exit in time`);
    },
  };
}

/** Forwards whole lines, so that lines of several workers don't mix. */
function forwardLines(output: Readable): void {
  let rest = Buffer.alloc(0);
  output.on("data", (chunk: Buffer) => {
    const end = chunk.lastIndexOf("\n") + 1;
    if (end > 0) process.stdout.write(Buffer.concat([rest, chunk.subarray(0, end)]));
    rest = Buffer.concat([end > 0 ? Buffer.alloc(0) : rest, chunk.subarray(end)]);
  });
  output.on("end", () => process.stdout.write(rest));
}
