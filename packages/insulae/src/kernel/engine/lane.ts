/**
 * One leased connection that carries many statements, one behind the other. It knows how many are
 * under way and how long the first of them has been, which is what makes a lane unattractive.
 */

import { Fifo } from "../lib/fifo.ts";
import type { BatchRequest, StatementResult } from "./batch.ts";
import type { Lease } from "./broker.ts";
import { cancelStatement } from "./cancel.ts";
import type { StatementKind } from "./sql-rules.ts";

/** A statement on its way, and whom it is for. */
export interface LaneStatement {
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
  /** It goes with those whose statements are slow. */
  slow: boolean;
}

export interface Lane {
  readonly inFlight: number;
  /** Since when nothing was under way; undefined while something is. */
  readonly idleSince: number | undefined;
  /** The statement that the server is working on. */
  readonly first: LaneStatement | undefined;
  /** How long it has been under way, in milliseconds; 0 if there is none. */
  firstAge(now: number): number;
  /** Since when the server has been working on it: since the end of the one before. */
  readonly workingSince: number;
  /** It takes more work: it is neither to be given back nor lost. */
  readonly isOpen: boolean;
  run(statement: LaneStatement): void;
  /** Whether somebody else's statement waits behind the first one. */
  readonly holdsUpOthers: boolean;
  /** Has the server cancel what it is working on; asks once for each statement. */
  interrupt(): void;
  /** It was interrupted once: a statement that is cancelled may not be the one that was meant. */
  readonly wasInterrupted: boolean;
  /** Takes no more work, and is given back when what is under way has ended. */
  retire(): void;
}

/** A statement has ended; the lane's `workingSince` still is that of this statement. */
export type LaneStatementEnd = (
  lane: Lane,
  statement: LaneStatement,
  error: Error | undefined,
  result: StatementResult | undefined,
) => void;

export function createLane(lease: Lease, ended: LaneStatementEnd): Lane {
  const { session } = lease;
  const underway = new Fifo<LaneStatement>();
  let workingSince = performance.now();
  let retiring = false;
  let interrupted: LaneStatement | undefined;

  const lane: Lane = {
    get inFlight() {
      return underway.size;
    },
    get idleSince() {
      return underway.size === 0 ? workingSince : undefined;
    },
    get first() {
      return underway.first;
    },
    firstAge: (now) => (underway.size === 0 ? 0 : now - (underway.first?.sent ?? now)),
    get workingSince() {
      return workingSince;
    },
    get isOpen() {
      return !retiring && session.lost === undefined;
    },
    run(statement) {
      statement.sent = performance.now();
      if (underway.size === 0) workingSince = statement.sent;
      underway.push(statement);
      session.submit(statement.request, (error, result) => {
        underway.delete(statement);
        ended(lane, statement, error, result);
        workingSince = performance.now();
        if (retiring && underway.size === 0) lease.release();
      });
    },
    get holdsUpOthers() {
      return underway.find(({ holder }) => holder !== underway.first?.holder) !== undefined;
    },
    interrupt() {
      if (interrupted === underway.first) return;
      interrupted = underway.first;
      cancelStatement(lease.client);
    },
    get wasInterrupted() {
      return interrupted !== undefined;
    },
    retire() {
      if (retiring) return;
      retiring = true;
      if (underway.size === 0) lease.release();
    },
  };
  return lane;
}
