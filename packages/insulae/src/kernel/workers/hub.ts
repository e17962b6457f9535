/**
 * The primary's services for the workers of a node: it keeps the rate limits' buckets, so that
 * limits apply to all workers together; tells each worker who has WebSockets open at the others;
 * forwards log lines to workers whose viewers want them; and merges the metrics of all for
 * whichever worker is asked. A worker receives messages only after it has said that it listens.
 */

import { type Charge, createLocalBuckets } from "../http/limits/local-buckets.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { LogPeers } from "../telemetry/log-hub.ts";
import { createLineBatches, type OwnedLine } from "./line-batches.ts";
import type { SocketChange } from "./link.ts";
import { mergeMetrics } from "./merge-metrics.ts";
import type { Peer } from "./peer.ts";

export interface WorkersHub {
  /** @returns a function to call when the worker has exited */
  add(id: number, peer: Peer): () => void;
  /** For the primary's own lines. */
  readonly logs: LogPeers;
}

export interface WorkersHubOptions {
  /** The primary's own metrics. */
  readonly metrics: () => Promise<string>;
  /** How long to wait for a worker's metrics; one that hangs is left out. Default 2 s. */
  readonly metricsTimeoutMs?: number;
}

interface Member {
  readonly peer: Peer;
  followsLogs: boolean;
  followsSockets: boolean;
  /** The WebSockets open at the worker, by the JSON of their owners. */
  readonly sockets: Map<string, number>;
  /** Whether somebody watches the log at this worker. */
  watching: boolean;
  /** Whether this worker knows that somebody watches elsewhere. */
  watched: boolean;
}

export function createWorkersHub({
  metrics,
  metricsTimeoutMs = 2_000,
}: WorkersHubOptions): WorkersHub {
  const members = new Map<number, Member>();
  const buckets = createLocalBuckets();
  let onWatched: (watched: boolean) => void = () => {};

  const forwardLines = (lines: readonly OwnedLine[], from: Member | undefined): void => {
    for (const member of members.values()) {
      if (member !== from && member.watching) member.peer.notify("lines", lines);
    }
  };
  const notifyWatched = (): void => {
    const watching = [...members.values()].filter((member) => member.watching);
    for (const member of members.values()) {
      const watched = watching.some((other) => other !== member);
      if (!member.followsLogs || watched === member.watched) continue;
      member.peer.notify("watched", watched);
      member.watched = watched;
    }
    onWatched(watching.length > 0);
  };
  const forwardSocket = (change: SocketChange, from: Member): void => {
    for (const member of members.values()) {
      if (member !== from && member.followsSockets) member.peer.notify("socket", change);
    }
  };
  const onSocket = (member: Member, { owner, by }: SocketChange): void => {
    const key = JSON.stringify(owner);
    const count = (member.sockets.get(key) ?? 0) + by;
    if (count === 0) member.sockets.delete(key);
    else member.sockets.set(key, count);
    forwardSocket({ owner, by }, member);
  };
  const followSockets = (member: Member): void => {
    member.followsSockets = true;
    for (const other of members.values()) {
      if (other === member) continue;
      for (const [owner, by] of other.sockets) {
        member.peer.notify("socket", { owner: JSON.parse(owner), by });
      }
    }
  };
  const allMetrics = async (): Promise<string> => {
    const texts = new Map([["primary", await metrics()]]);
    const asked = [...members].map(async ([id, { peer }]) => {
      const text = await withDeadline(metricsTimeoutMs, () => peer.ask("ownMetrics")).catch(
        () => "",
      );
      texts.set(String(id), String(text));
    });
    await Promise.all(asked);
    return mergeMetrics(texts);
  };

  return {
    add(id, peer) {
      const member: Member = {
        peer,
        followsLogs: false,
        followsSockets: false,
        sockets: new Map(),
        watching: false,
        watched: false,
      };
      members.set(id, member);
      peer.on<readonly (readonly Charge[])[]>("take", (batch) => batch.map(buckets.take));
      peer.on<readonly OwnedLine[]>("lines", (lines) => forwardLines(lines, member));
      peer.on<boolean>("watching", (watching) => {
        member.watching = watching;
        notifyWatched();
      });
      peer.on("followLogs", () => {
        member.followsLogs = true;
        notifyWatched();
      });
      peer.on<SocketChange>("socket", (change) => onSocket(member, change));
      peer.on("followSockets", () => followSockets(member));
      peer.on("metrics", allMetrics);
      return () => {
        members.delete(id);
        notifyWatched();
        for (const [owner, count] of member.sockets) {
          forwardSocket({ owner: JSON.parse(owner), by: -count }, member);
        }
      };
    },
    logs: {
      watching() {},
      send: createLineBatches("the primary", (lines) => forwardLines(lines, undefined)).add,
      follow(watchedChanged) {
        onWatched = watchedChanged;
      },
    },
  };
}
