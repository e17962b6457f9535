/**
 * One connection and what is under way on it. Batches that are submitted in one turn of the event
 * loop leave together, in one write, after the turn has read all sockets (`setImmediate`): under
 * load that is what fills the pipeline, and an idle loop gets there at once.
 */
import type { Client } from "pg";
import { Fifo } from "../lib/fifo.ts";
import { Batch, type BatchEnd, type BatchRequest } from "./batch.ts";
import { createPreparedStatements, type PreparedStatements } from "./prepared.ts";
import { createOutbox, type Outbox } from "./wire-buffer.ts";

export interface Session {
  readonly outbox: Outbox;
  readonly prepared: PreparedStatements;
  readonly parserOf: (oid: number) => (text: string) => unknown;
  /** Sends a statement. `end` is called once, in the order of submission, or when all is lost. */
  submit(request: BatchRequest, end: BatchEnd): void;
  /** Statements that have no answer yet. */
  readonly inFlight: number;
  /** Why the connection is gone, if it is. */
  readonly lost: Error | undefined;
  /** An answer is due, whoever asked. */
  readonly isWaiting: boolean;
  /** No statement under way, no transaction open: fit for whoever comes next. */
  readonly isIdle: boolean;
  /** Within a transaction statements may end with it open; on a lane that is an error. */
  inTransaction: boolean;
  /** Ends the connection at once; all that is in flight is lost. */
  destroy(reason: Error): void;

  // For the batches of this session.
  holds(batch: Batch): boolean;
  remove(batch: Batch): void;
  awaitReady(batch: Batch): void;
  readonly isClean: boolean;
}

/** What pg keeps to itself; it is pinned exactly. */
interface ClientInternals {
  _activeQuery: unknown;
  _sentQueryQueue: unknown[];
  _queryQueue: unknown[];
  /** The server has answered the last one in full; after an error that comes a little later. */
  readyForQuery: boolean;
}

/** Is told of each statement that has ended. */
export type StatementWatch = (
  inTransaction: boolean,
  milliseconds: number,
  failed: boolean,
) => void;

/** @param client connected, in pipeline mode; `error` and `end` are listened to by the broker. */
export function createSession(
  client: Client,
  maxPrepared: number,
  watch?: StatementWatch,
): Session {
  const outbox = createOutbox();
  const internals = client as unknown as ClientInternals;
  const underway = new Fifo<Batch>();
  /** What is in the outbox is theirs. */
  const unsent: Batch[] = [];
  let lost: Error | undefined;
  let scheduled = false;

  const flush = () => {
    scheduled = false;
    if (lost !== undefined) return;
    const { stream } = client.connection;
    if (!stream.writable) {
      session.destroy(new Error("the socket is closed"));
      return;
    }
    const bytes = outbox.take();
    for (const batch of unsent) batch.sent = true;
    unsent.length = 0;
    if (bytes !== undefined) stream.write(bytes);
  };

  const watched = (end: BatchEnd): BatchEnd => {
    const since = performance.now();
    const { inTransaction } = session;
    return (error, result) => {
      watch?.(inTransaction, performance.now() - since, error !== undefined);
      end(error, result);
    };
  };

  const session: Session = {
    outbox,
    prepared: createPreparedStatements(maxPrepared),
    parserOf: (oid) => client.getTypeParser(oid, "text") as (text: string) => unknown,
    inTransaction: false,
    submit(request, end) {
      const batch = new Batch(session, request, watch ? watched(end) : end);
      if (lost !== undefined) {
        batch.lose(false, lost);
        return;
      }
      underway.push(batch);
      unsent.push(batch);
      client.query(batch);
      if (!scheduled) {
        scheduled = true;
        setImmediate(flush);
      }
    },
    get inFlight() {
      return underway.size;
    },
    get lost() {
      return lost;
    },
    get isWaiting() {
      return (
        internals._activeQuery !== null ||
        internals._sentQueryQueue.length > 0 ||
        internals._queryQueue.length > 0
      );
    },
    get isIdle() {
      return (
        lost === undefined &&
        internals.readyForQuery &&
        client.getTransactionStatus() === "I" &&
        !session.isWaiting
      );
    },
    destroy(reason) {
      if (lost !== undefined) return;
      lost = reason;
      client.connection.stream.destroy();
      for (const batch of underway.toArray()) batch.lose(batch.sent, reason);
      unsent.length = 0;
    },
    holds: (batch) => underway.has(batch) && lost === undefined,
    remove(batch) {
      underway.delete(batch);
    },
    awaitReady(batch) {
      internals._activeQuery = batch;
    },
    get isClean() {
      return session.inTransaction || client.getTransactionStatus() === "I";
    },
  };
  return session;
}
