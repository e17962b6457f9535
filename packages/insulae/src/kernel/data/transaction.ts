/**
 * A transaction on a leased connection. BEGIN and the scope are sent with the first statement, in
 * one round trip; an empty transaction costs none. The scope is local to the transaction. The
 * connection is returned only after the server has confirmed the end; in any doubt it is closed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryExecutorProvider,
  type QueryResult,
  type TransactionSettings,
} from "kysely";
import type { RowMode, StatementResult } from "../engine/batch.ts";
import type { Broker, Lease } from "../engine/broker.ts";
import {
  ConnectionLost,
  databaseUnavailable,
  isDatabaseError,
  isTenantMoved,
  retryLater,
  StatementRefused,
  tenantMoved,
  translate,
  writeOutcomeUnknown,
} from "../engine/errors.ts";
import { dataSchema } from "../engine/scope.ts";
import { rulesOf } from "../engine/sql-rules.ts";
import { relocate } from "../lib/call-site.ts";
import { failureName, type TraceSpan } from "../telemetry/tracing.ts";
import { maxMoves, moveWaitMs, type Place, type Where } from "./place.ts";

/** A compiled query with the wanted format of its rows; see `statement.ts`. */
export interface TextQuery extends CompiledQuery {
  readonly rows: RowMode;
}

const serializationFailure = "40001";

type State = "new" | "ready" | "open" | "over";

/** `unknown`: the connection was lost during COMMIT. */
export type TransactionOutcome = "committed" | "rolled back" | "unknown";

export interface TransactionConnection extends DatabaseConnection {
  /** Calls `fn` when the transaction is over. */
  onSettled(fn: (outcome: TransactionOutcome) => void): void;
  begin(settings: TransactionSettings): void;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  savepoint(command: string): Promise<void>;
  /** Returns the connection, or closes it unless the transaction is known to be over. */
  release(): void;
}

/** A connection that is leased for one transaction, at a place. */
interface Leased {
  readonly lease: Lease;
  readonly place: Place;
  readonly trace: Trace;
}

type Trace = ((text: string) => TraceSpan | undefined) | undefined;

async function leaseAt(broker: Broker, place: Place): Promise<Leased> {
  const { target, scope } = place;
  if ((target.role === "app") !== (scope !== undefined)) {
    throw new TypeError(`a transaction as ${target.role} ${scope ? "takes no" : "needs a"} scope`);
  }
  const { tenantId, payer = tenantId } = scope ?? {};
  const holder = tenantId && payer && { group: payer, name: tenantId };
  const lease = await broker.lease(target, holder ? { holder } : {});
  lease.session.inTransaction = true;
  const { trace } = broker;
  return { lease, place, trace: trace && ((text) => trace(target.database, text)) };
}

/** Leases a connection for one transaction. */
export async function openTransaction(
  broker: Broker,
  where: Where<Place>,
): Promise<TransactionConnection> {
  const first = await leaseAt(broker, where.known() ?? (await where.find()));
  return transactionOn(first, async () => leaseAt(broker, await where.findAnew()));
}

/** @param leaseAnew at the place to which the tenant has moved */
function transactionOn(first: Leased, leaseAnew: () => Promise<Leased>): TransactionConnection {
  let { lease, place, trace } = first;
  let state: State = "new";
  let beginText = "begin";
  let readOnly = false;
  let isReleased = false;
  let waiting: ((outcome: TransactionOutcome) => void)[] = [];
  const settle = (outcome: TransactionOutcome): void => {
    const told = waiting;
    waiting = [];
    for (const fn of told) fn(outcome);
  };

  const submit = (text: string, values: readonly unknown[], rows: RowMode = "objects") =>
    new Promise<StatementResult>((resolve, reject) => {
      const first = state === "ready";
      if (first) state = "open";
      const span = trace?.(text);
      const { scope } = place;
      lease.session.submit(
        {
          text,
          values,
          scope: first ? scope : undefined,
          schema: scope?.schema ?? dataSchema,
          rows,
          readOnly: false,
          ...(first ? { begin: beginText } : {}),
        },
        (error, result) => {
          span?.end({}, error && failureName(error));
          if (result !== undefined) resolve(result);
          // Before COMMIT, a lost connection rolls everything back.
          else if (error instanceof ConnectionLost) reject(databaseUnavailable(retryLater(error)));
          else if (readOnly && isDatabaseError(error) && error.code === "25006")
            reject(new StatementRefused("a write in a read-only transaction"));
          else reject(translate(error));
        },
      );
    });

  /** Nothing was written and nothing was answered: it begins again where the tenant is now. */
  const beginAnew = async (): Promise<void> => {
    await run(lease, "rollback");
    lease.release();
    isReleased = true;
    ({ lease, place, trace } = await leaseAnew());
    isReleased = false;
    state = "ready";
  };

  /** Waits while the tenant may not write, and fails as a write would if it has moved. */
  const waitForCutOver = () =>
    submit("select app.wait_for_cut_over($1)", [place.scope?.schema]).catch((error: unknown) => {
      const isOlder = isDatabaseError(error) && error.code === serializationFailure;
      throw isOlder ? tenantMoved(retryLater(error)) : error;
    });

  const sendFirst: typeof submit = async (...statement) => {
    for (let tries = 1; ; tries += 1) {
      try {
        if (place.isMoving && !readOnly) await waitForCutOver();
        return await submit(...statement);
      } catch (error) {
        if (!isTenantMoved(error) || tries === maxMoves) throw error;
        if (tries > 1) await sleep(moveWaitMs);
        await beginAnew();
      }
    }
  };

  const send: typeof submit = (...statement) =>
    state === "ready" ? sendFirst(...statement) : submit(...statement);

  const connection: TransactionConnection = {
    begin(settings) {
      readOnly = settings.accessMode === "read only";
      beginText = beginStatement(settings);
      state = "ready";
    },
    async executeQuery<Row>(query: CompiledQuery & Partial<TextQuery>) {
      if (state === "new") throw new StatementRefused("db.connection(): use db.transaction()");
      if (state === "over") throw new StatementRefused("the transaction is over");
      const { refusedInTransaction } = rulesOf(query.sql);
      if (refusedInTransaction !== undefined) throw new StatementRefused(refusedInTransaction);
      try {
        return (await send(query.sql, query.parameters, query.rows)) as QueryResult<Row>;
      } catch (error) {
        if (isDatabaseError(error)) relocate(error, undefined, connection.executeQuery);
        throw error;
      }
    },
    async commit() {
      if (state !== "open") {
        state = "over";
        return;
      }
      state = "over";
      const command = await commitOn(lease, readOnly, settle, trace);
      // After a failed statement, COMMIT rolls back and reports it only in its command tag.
      if (command !== "COMMIT") throw new Error("the transaction had failed and was rolled back");
      settle("committed");
    },
    onSettled(fn) {
      waiting.push(fn);
    },
    async rollback() {
      if (state === "open") {
        state = "over";
        await run(lease, "rollback").catch((error: Error) => lease.destroy(error));
      }
      state = "over";
    },
    async savepoint(command) {
      await send(command, []);
    },
    // biome-ignore lint/correctness/useYield: it only throws
    async *streamQuery() {
      throw new StatementRefused("stream(): read in pages, by key");
    },
    release() {
      if (isReleased) return settle("rolled back");
      // Still open: an aborted handler, or a failed commit.
      if (state === "open") lease.destroy(new Error("a transaction was left open"));
      else lease.release();
      settle("rolled back");
    },
  };
  return connection;
}

async function commitOn(
  lease: Lease,
  readOnly: boolean,
  settle: (outcome: TransactionOutcome) => void,
  trace: Trace,
): Promise<string> {
  const span = trace?.("commit");
  try {
    const { command } = await run(lease, "commit");
    span?.end();
    return command;
  } catch (error) {
    span?.end({}, failureName(error));
    lease.destroy();
    if (error instanceof ConnectionLost) {
      if (!error.sent || readOnly) throw databaseUnavailable(retryLater(error));
      settle("unknown");
      throw writeOutcomeUnknown(retryLater(error));
    }
    throw translate(error); // a deferred constraint or serialization failure: rolled back
  }
}

const run = (lease: Lease, text: string): Promise<StatementResult> =>
  new Promise((resolve, reject) => {
    lease.session.submit(
      { text, values: [], scope: undefined, schema: "", rows: "objects", readOnly: false },
      (error, result) => (result === undefined ? reject(error) : resolve(result)),
    );
  });

function beginStatement({ isolationLevel, accessMode }: TransactionSettings): string {
  const parts = ["begin"];
  if (isolationLevel !== undefined) parts.push(`isolation level ${isolationLevel}`);
  if (accessMode !== undefined) parts.push(accessMode);
  return parts.join(" ");
}

/** The driver for Kysely's transaction builders; connections come from `openTransaction`. */
export const transactionDriver: Driver = {
  async init() {},
  acquireConnection() {
    throw new StatementRefused("db.connection(): use db.transaction()");
  },
  async beginTransaction(connection, settings) {
    own(connection).begin(settings);
  },
  commitTransaction: (connection) => own(connection).commit(),
  rollbackTransaction: (connection) => own(connection).rollback(),
  savepoint: (connection, name) => own(connection).savepoint(`savepoint ${quote(name)}`),
  rollbackToSavepoint: (connection, name) =>
    own(connection).savepoint(`rollback to savepoint ${quote(name)}`),
  releaseSavepoint: (connection, name) =>
    own(connection).savepoint(`release savepoint ${quote(name)}`),
  async releaseConnection(connection) {
    own(connection).release();
  },
  async destroy() {},
};

// Kysely returns the object that `provideConnection` gave it.
const own = (connection: DatabaseConnection) => connection as TransactionConnection;

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/**
 * Calls `fn` when the transaction has ended, with its outcome.
 *
 * @param tx the argument of the function passed to `db.transaction().execute()`
 */
export async function onSettled(
  tx: QueryExecutorProvider,
  fn: (outcome: TransactionOutcome) => void,
): Promise<void> {
  if (!(tx instanceof Kysely) || !tx.isTransaction)
    throw new TypeError("onSettled() needs a transaction");
  await tx.getExecutor().provideConnection(async (connection) => own(connection).onSettled(fn));
}
