/**
 * One leased connection that carries many statements, one behind the other. It knows how many are
 * under way and how long the first of them has been, which is what makes a lane unattractive.
 */

import { Fifo } from "../lib/fifo.ts";
import type { BatchRequest, StatementResult } from "./batch.ts";
import type { Lease } from "./broker.ts";
import { cancelStatement } from "./cancel.ts";
import { isDatabaseError } from "./errors.ts";
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
  /** Takes no more work, and is given back when what is under way has ended. */
  retire(): void;
}

/** The lane's cancel request has ended a statement: the one that was meant, or the one behind it. */
export type Cancelled = "meant" | "bystander" | undefined;

/** A statement has ended; the lane's `workingSince` still is that of this statement. */
export type LaneStatementEnd = (
  lane: Lane,
  statement: LaneStatement,
  error: Error | undefined,
  result: StatementResult | undefined,
  cancelled: Cancelled,
) => void;

const queryCanceled = "57014";

interface OutstandingCancel {
  readonly meant: LaneStatement;
  /** The server has dealt with it: it can hit those that had been sent by then, and none later. */
  settled: boolean;
  /** The last of those. The server may be far ahead of the answers that have been read here. */
  last: LaneStatement | undefined;
}

export function createLane(lease: Lease, ended: LaneStatementEnd): Lane {
  const { session } = lease;
  const underway = new Fifo<LaneStatement>();
  let workingSince = performance.now();
  let retiring = false;
  /** The request to cancel that is on its way, or may hit something still. */
  let cancel: OutstandingCancel | undefined;
  let isUnsure = false;

  /** What the outstanding request has done to a statement that ended. */
  const hitBy = (statement: LaneStatement, error: Error | undefined): Cancelled => {
    if (cancel === undefined) return undefined;
    const { meant, settled, last } = cancel;
    const isHit = isDatabaseError(error) && error.code === queryCanceled;
    // Until the last one has ended it may hit another: PostgreSQL below 17 signals its process twice.
    if (settled && last === statement) cancel = undefined;
    if (!isHit) return undefined;
    return meant === statement ? "meant" : "bystander";
  };

  /** The connection goes to somebody else only when no request to cancel can hit it any more. */
  const giveBack = () => {
    if (!retiring || underway.size > 0) return;
    if (isUnsure) lease.destroy();
    else if (cancel === undefined || cancel.settled) lease.release();
  };

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
        ended(lane, statement, error, result, hitBy(statement, error));
        workingSince = performance.now();
        giveBack();
      });
    },
    get holdsUpOthers() {
      return underway.find(({ holder }) => holder !== underway.first?.holder) !== undefined;
    },
    interrupt() {
      const meant = underway.first;
      if (meant === undefined || meant === cancel?.meant || cancel?.settled === false) return;
      const request: OutstandingCancel = { meant, settled: false, last: undefined };
      cancel = request;
      void cancelStatement(lease.client).then((isDone) => {
        request.settled = true;
        request.last = underway.last;
        if (!isDone) {
          isUnsure = true;
          retiring = true;
        }
        if (underway.size === 0) cancel = undefined;
        giveBack();
      });
    },
    retire() {
      if (retiring) return;
      retiring = true;
      giveBack();
    },
  };
  return lane;
}
