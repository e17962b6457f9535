/**
 * The state that a worker shares with the other workers of its node through the primary (`hub.ts`):
 * rate limits, open WebSockets, log lines and metrics.
 */
import type { Charge, Outcome } from "../http/limits/local-buckets.ts";
import type { SocketOwner, SocketPeers } from "../http/sockets/socket-shares.ts";
import type { LogPeers } from "../telemetry/log-hub.ts";
import { createLineBatches, type OwnedLine } from "./line-batches.ts";
import type { Peer } from "./peer.ts";

export interface SocketChange {
  readonly owner: SocketOwner;
  readonly by: number;
}

export interface WorkerLink {
  /** From 1. */
  readonly id: number;
  /** The number of workers. */
  readonly workers: number;
  /** Charges a request to buckets that the primary keeps for all workers. */
  readonly take: (charges: readonly Charge[]) => Promise<Outcome>;
  readonly logs: LogPeers;
  readonly sockets: SocketPeers;
  /** The metrics of all workers, each sample with the label `worker`. */
  readonly allMetrics: () => Promise<string>;
  /** Registers the reader of this worker's own metrics. */
  readonly onMetrics: (read: () => Promise<string>) => void;
}

export function createWorkerLink(id: number, workers: number, peer: Peer): WorkerLink {
  let waiting: { charges: readonly Charge[]; answered: (outcome: Outcome) => void }[] = [];

  /**
   * Requests of one turn of the event loop are sent together, because a message costs as much as
   * the rest: with 16 at once, each costs the worker 8 µs and the primary 5; alone, 25 and 21.
   */
  const askForAll = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    const outcomes = (await peer.ask(
      "take",
      batch.map(({ charges }) => charges),
    )) as readonly Outcome[]; // the hub's reply
    for (const [index, { answered }] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome) answered(outcome);
    }
  };

  const batches = createLineBatches(`worker ${id}`, (lines) => peer.notify("lines", lines));
  return {
    id,
    workers,
    take(charges) {
      if (waiting.length === 0) setImmediate(askForAll);
      return new Promise((answered) => waiting.push({ charges, answered }));
    },
    logs: {
      watching: (watched) => peer.notify("watching", watched),
      send: batches.add,
      follow(onWatched, onLine) {
        peer.on("watched", onWatched);
        peer.notify("followLogs");
        peer.on<readonly OwnedLine[]>("lines", (lines) => {
          for (const { line, level, tenantId } of lines) onLine(line, level, tenantId);
        });
      },
    },
    sockets: {
      changed: (owner, by) => peer.notify("socket", { owner, by }),
      follow(onChanged) {
        peer.on<SocketChange>("socket", ({ owner, by }) => onChanged(owner, by));
        peer.notify("followSockets");
      },
    },
    allMetrics: async () => String(await peer.ask("metrics")),
    onMetrics: (read) => peer.on("ownMetrics", read),
  };
}
