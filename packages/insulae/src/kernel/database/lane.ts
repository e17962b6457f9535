/**
 * One leased connection that carries many statements, one behind the other. It knows how many are
 * under way and how long the first of them has been, which is what makes a lane unattractive.
 */
import type { BatchRequest, StatementResult } from "./batch.ts";
import type { Lease } from "./broker.ts";
import type { StatementKind } from "./sql-rules.ts";

/** A statement on its way, and whom it is for. */
export interface Job {
  kind: StatementKind;
  /** The tenant; the empty text in the control plane. */
  readonly holder: string;
  request: BatchRequest;
  readonly resolve: (result: StatementResult) => void;
  readonly reject: (error: Error) => void;
  /** When it was asked for, and when it was last given to a lane. */
  readonly since: number;
  sent: number;
  tries: number;
}

export interface Lane {
  readonly kind: StatementKind;
  readonly inFlight: number;
  /** Since when nothing was under way; undefined while something is. */
  readonly idleSince: number | undefined;
  /** The statement that the server is working on. */
  readonly first: Job | undefined;
  /** How long it has been under way, in milliseconds; 0 if there is none. */
  firstAge(now: number): number;
  /** It takes more work: it is neither to be given back nor lost. */
  readonly isOpen: boolean;
  run(job: Job): void;
  retire(): void;
  destroy(reason: Error): void;
}

export interface LaneEvents {
  readonly ended: (
    lane: Lane,
    job: Job,
    error: Error | undefined,
    result: StatementResult | undefined,
  ) => void;
  /** It has been given back. */
  readonly gone: (lane: Lane) => void;
}

export function createLane(kind: StatementKind, lease: Lease, events: LaneEvents): Lane {
  const { session } = lease;
  const underway = new Set<Job>();
  let idleSince = performance.now();
  let retiring = false;

  const giveBack = () => {
    events.gone(lane);
    lease.release();
  };

  const lane: Lane = {
    kind,
    get inFlight() {
      return underway.size;
    },
    get idleSince() {
      return underway.size === 0 ? idleSince : undefined;
    },
    get first() {
      return underway.values().next().value;
    },
    firstAge: (now) => now - (lane.first?.sent ?? now),
    get isOpen() {
      return !retiring && session.lost === undefined;
    },
    run(job) {
      job.sent = performance.now();
      underway.add(job);
      session.submit(job.request, (error, result) => {
        underway.delete(job);
        if (underway.size === 0) idleSince = performance.now();
        events.ended(lane, job, error, result);
        if (retiring && underway.size === 0) giveBack();
      });
    },
    retire() {
      if (retiring) return;
      retiring = true;
      if (underway.size === 0) giveBack();
    },
    destroy(reason) {
      retiring = true;
      lease.destroy(reason);
    },
  };
  return lane;
}
