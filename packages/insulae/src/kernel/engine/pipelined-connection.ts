/**
 * One connection and what is under way on it. Batches that are submitted in one turn of the event
 * loop leave together, in one write, after the turn has read all sockets (`setImmediate`): under
 * load that is what fills the pipeline, and an idle loop gets there at once.
 */
import type { Client } from "pg";
import { Fifo } from "../lib/fifo.ts";
import { Batch, type BatchEnd, type BatchRequest } from "./batch.ts";
import { ConnectionLost } from "./errors.ts";
import { code, createMessageReader, headerLength, isUnasked, type Receive } from "./pg-messages.ts";
import { createPreparedStatements, type PreparedStatements } from "./prepared.ts";
import { createWireBuffer, type WireBuffer } from "./wire-buffer.ts";

export interface PipelinedConnection {
  readonly buffer: WireBuffer;
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

  // For the batches of this connection.
  remove(batch: Batch): void;
  /** No transaction is open, or one may be. */
  readonly isClean: boolean;
}

/** What the types of pg leave out: false while it awaits an answer. */
interface ReadyState {
  readonly readyForQuery?: boolean;
}

/** Is told of each statement that has ended. */
export type StatementWatch = (
  inTransaction: boolean,
  milliseconds: number,
  failed: boolean,
) => void;

/**
 * @param client connected, and nothing under way on it; `error` and `end` are listened to by the broker. Its
 *   socket is read here from now on. What answers no statement of the session's is handed to the client, so
 *   that it can be used as well, in turn.
 */
export function createPipelinedConnection(
  client: Client,
  maxPrepared: number,
  watch?: StatementWatch,
): PipelinedConnection {
  const buffer = createWireBuffer();
  const { stream } = client.connection;
  const clientsListeners = stream.listeners("data");
  const underway = new Fifo<Batch>();
  /** What is in the buffer is theirs. */
  const unsent: Batch[] = [];
  let status = client.getTransactionStatus();
  let lost: Error | undefined;
  let scheduled = false;

  const isClientBusy = () => (client as ReadyState).readyForQuery !== true;

  const flush = () => {
    scheduled = false;
    if (lost !== undefined) return;
    if (!stream.writable) {
      session.destroy(new Error("the socket is closed"));
      return;
    }
    const bytes = buffer.take();
    for (const batch of unsent) batch.sent = true;
    unsent.length = 0;
    if (bytes !== undefined) stream.write(bytes);
  };

  const receive: Receive = (type, bytes, start, end) => {
    if (lost !== undefined) return;
    if (type === code.readyForQuery) status = statusOf(bytes[start]);
    const batch = underway.first;
    if (batch?.sent === true && !isUnasked(type)) {
      batch.receive(type, bytes, start, end);
      return;
    }
    const message = bytes.subarray(start - headerLength, end);
    for (const listener of clientsListeners) listener.call(stream, message);
  };
  const read = createMessageReader(receive);

  stream.removeAllListeners("data");
  stream.on("data", (chunk: Buffer) => {
    if (lost !== undefined) return;
    try {
      read(chunk);
    } catch (error) {
      session.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });

  const watched = (end: BatchEnd): BatchEnd => {
    const since = performance.now();
    const { inTransaction } = session;
    return (error, result) => {
      watch?.(inTransaction, performance.now() - since, error !== undefined);
      end(error, result);
    };
  };

  const session: PipelinedConnection = {
    buffer,
    prepared: createPreparedStatements(maxPrepared),
    parserOf: (oid) => client.getTypeParser(oid, "text") as (text: string) => unknown,
    inTransaction: false,
    submit(request, given) {
      const end = watch ? watched(given) : given;
      const refuse = (error: Error) => process.nextTick(end, error, undefined);
      if (lost !== undefined) {
        end(new ConnectionLost(false, lost), undefined);
        return;
      }
      if (isClientBusy()) {
        refuse(new Error("the connection's client awaits an answer"));
        return;
      }
      let batch: Batch;
      try {
        batch = new Batch(session, request, end);
      } catch (error) {
        refuse(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      underway.push(batch);
      unsent.push(batch);
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
      return underway.size > 0 || isClientBusy();
    },
    get isIdle() {
      return lost === undefined && status === "I" && !session.isWaiting;
    },
    destroy(reason) {
      if (lost !== undefined) return;
      lost = reason;
      stream.destroy();
      for (const batch of underway.toArray()) batch.lose(reason);
      unsent.length = 0;
    },
    remove(batch) {
      underway.delete(batch);
    },
    get isClean() {
      return session.inTransaction || status === "I";
    },
  };
  return session;
}

function statusOf(byte: number | undefined): "I" | "T" | "E" {
  if (byte === 0x49) return "I";
  return byte === 0x54 ? "T" : "E";
}
