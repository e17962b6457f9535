/**
 * What the primary of a node does for its workers: it keeps the buckets of rate limits, so that limits hold
 * over all workers; passes lines of the log on to the workers whose viewers want them; and puts the metrics
 * of all together for whichever is asked.
 */
import { withDeadline } from "../deadline.ts";
import { type Charge, createLocalBuckets } from "../http/limits/local-buckets.ts";
import type { LogPeers } from "../telemetry/log-hub.ts";
import { createLineBatches, type OwnedLine } from "./line-batches.ts";
import { mergeMetrics } from "./merge-metrics.ts";
import type { Peer } from "./peer.ts";

export interface WorkersHub {
  /** @returns what to call when the worker has ended. */
  add(id: number, peer: Peer): () => void;
  /** For the primary's own lines. */
  readonly logs: LogPeers;
}

export interface WorkersHubOptions {
  /** The primary's own. */
  readonly metrics: () => Promise<string>;
  /** How long a worker may take to give its metrics; one that hangs is left out. Default 2 s. */
  readonly metricsTimeoutMs?: number;
}

interface Member {
  readonly peer: Peer;
  /** Whether somebody watches the log at this worker. */
  watching: boolean;
  /** Whether this worker was told that somebody watches elsewhere. */
  watched: boolean;
}

export function createWorkersHub({
  metrics,
  metricsTimeoutMs = 2_000,
}: WorkersHubOptions): WorkersHub {
  const members = new Map<number, Member>();
  const buckets = createLocalBuckets();
  let onWatched: (watched: boolean) => void = () => {};

  const passOn = (lines: readonly OwnedLine[], from: Member | undefined): void => {
    for (const member of members.values()) {
      if (member !== from && member.watching) member.peer.tell("lines", lines);
    }
  };
  const tellWatched = (): void => {
    const watching = [...members.values()].filter((member) => member.watching);
    for (const member of members.values()) {
      const watched = watching.some((other) => other !== member);
      if (watched !== member.watched) member.peer.tell("watched", watched);
      member.watched = watched;
    }
    onWatched(watching.length > 0);
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
      const member: Member = { peer, watching: false, watched: false };
      members.set(id, member);
      peer.on<readonly (readonly Charge[])[]>("take", (batch) => batch.map(buckets.take));
      peer.on<readonly OwnedLine[]>("lines", (lines) => passOn(lines, member));
      peer.on<boolean>("watching", (watching) => {
        member.watching = watching;
        tellWatched();
      });
      peer.on("metrics", allMetrics);
      tellWatched();
      return () => {
        members.delete(id);
        tellWatched();
      };
    },
    logs: {
      watching() {},
      send: createLineBatches("the primary", (lines) => passOn(lines, undefined)).add,
      follow(watchedChanged) {
        onWatched = watchedChanged;
      },
    },
  };
}
