/**
 * All connections of the process, under one budget.
 *
 * A connection is opened for a target, leased to one holder at a time, kept when it comes back, and
 * closed when it was idle for long or when its place in the budget is needed for another target.
 * Whoever finds the budget spent waits in line: first in, first out. While somebody waits, idle
 * connections are closed (the longest idle first), then holders are asked to give back what they do
 * not use, then to finish what is in flight and give back. A connection counts until its socket is
 * closed, so that the server never sees more than the budget.
 *
 * Who holds as much as it may (see `admission.ts`) is passed over in the line.
 */
import type { Client } from "pg";
import type { Logger } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { createAdmission } from "./admission.ts";
import { databaseUnavailable, retryLater } from "./errors.ts";
import { openConnection } from "./open-connection.ts";
import { createSession, type Session, type StatementWatch } from "./session.ts";
import type { ConnectionConfig } from "./session-settings.ts";
import type { DatabaseRole, Target } from "./target.ts";
import { createWaiter, type Waiter } from "./waiter.ts";

export interface Lease {
  readonly client: Client;
  readonly session: Session;
  /** Gives it back; it is kept only if nothing is in flight and no transaction is open. */
  release(): void;
  /** Gives it back to be closed. */
  destroy(error?: Error): void;
}

export interface LeaseOptions {
  /**
   * Others wait and the budget is spent: release the connection if it is idle, and return true if
   * you did. If `urgent`, also return true if you will as soon as what is in flight has ended.
   */
  readonly reclaim?: (urgent: boolean) => boolean;
  /** The connection is gone; its lease has ended. */
  readonly lost?: (error: Error) => void;
  /** A lane carries many; a session (default) is one holder's for as long as it likes. */
  readonly purpose?: "lane" | "session";
  /** Whose it is, for the share of one. */
  readonly holder?: string;
  /** Stops waiting. */
  readonly signal?: AbortSignal;
}

export interface BrokerStats {
  readonly open: number;
  readonly leased: number;
  readonly idle: number;
  readonly waiting: number;
  readonly budget: number;
}

export interface Broker {
  /** Begins the trace of a statement that is about to be sent, where there are traces. */
  readonly trace: Tracing["statement"] | undefined;
  /**
   * A connection to the target.
   *
   * @throws databaseBusy (503) if none came free in time; databaseUnavailable (503) if none could
   *   be made.
   */
  lease(target: Target, options?: LeaseOptions): Promise<Lease>;
  /** How many wait for a connection: holders of idle ones give back while it is not 0. */
  waiting(): number;
  /** Whether one more can be opened without closing another. */
  hasRoom(): boolean;
  stats(): BrokerStats;
  /** Closes what matches, once it is given back, by force after five seconds. */
  closeTarget(match: (target: Target) => boolean): Promise<void>;
  close(): Promise<void>;
}

export interface BrokerOptions {
  /** The most connections there may be at any time, those being opened or closed included. */
  readonly budget: number;
  /** How long an unused connection is kept. */
  readonly idleMs: number;
  /** How long somebody waits for a connection. */
  readonly acquireTimeoutMs: number;
  /** How to connect to a target; asked for each new connection. */
  readonly resolve: (target: Target) => ConnectionConfig | Promise<ConnectionConfig>;
  readonly log: Logger;
  /** What is told of the statements of those who log in as this role. */
  readonly watch?: (role: DatabaseRole) => StatementWatch;
  readonly tracing?: Tracing | undefined;
  /** Prepared statements kept on each connection; default 256. */
  readonly maxPrepared?: number;
  /** How long a holder keeps a connection before it is asked to hurry; default 50. */
  readonly holdMs?: number;
}

type State = "connecting" | "idle" | "leased" | "closing";

interface Connection {
  readonly target: Target;
  readonly key: string;
  state: State;
  since: number;
  client: Client | undefined;
  session: Session | undefined;
  /** Of the lease it is under. */
  options: LeaseOptions;
  /** The holder has said that it will be back soon. */
  promised: boolean;
  /** To be closed when it comes back. */
  doomed: boolean;
}

const closeGraceMs = 5_000;

export function createBroker(options: BrokerOptions): Broker {
  const { budget, idleMs, acquireTimeoutMs, log } = options;
  const holdMs = options.holdMs ?? 50;
  const { watch: watchFor } = options;
  const roles = ["app", "control"] as const;
  const watchOf = new Map<DatabaseRole, StatementWatch>(
    watchFor && roles.map((role) => [role, watchFor(role)] as const),
  );

  /** In the order in which they came to their state: the first idle one is idle the longest. */
  const connections = new Set<Connection>();
  const waiters = new Set<Waiter>();
  const closers = new Set<() => void>();
  let closed = false;
  let sweeper: NodeJS.Timeout | undefined;
  let hurry: NodeJS.Timeout | undefined;

  const enter = (connection: Connection, state: State) => {
    connection.state = state;
    connection.since = performance.now();
    connections.delete(connection);
    connections.add(connection);
  };
  const inState = (state: State) => [...connections].filter((each) => each.state === state);

  const gone = (connection: Connection) => {
    if (!connections.delete(connection)) return;
    for (const check of closers) check();
    pump();
  };

  const shut = (connection: Connection) => {
    if (connection.state === "closing") return;
    enter(connection, "closing");
    const { client, session } = connection;
    if (client === undefined) return;
    if (session?.isIdle === true) {
      const force = setTimeout(() => client.connection.stream.destroy(), closeGraceMs).unref();
      client.end(() => clearTimeout(force));
    } else {
      session?.destroy(new Error("the connection was given back in an unknown state"));
      client.connection.stream.destroy();
    }
  };

  const giveBack = (connection: Connection, fit: boolean) => {
    if (connection.state !== "leased") return;
    const { session } = connection;
    connection.promised = false;
    connection.options = {};
    if (fit && !closed && !connection.doomed && session?.isIdle === true) {
      session.inTransaction = false;
      enter(connection, "idle");
      sweepLater();
    } else {
      shut(connection);
    }
    pump();
  };

  const open = async (waiter: Waiter) => {
    waiters.delete(waiter);
    const { target, key } = waiter;
    const connection: Connection = {
      target,
      key,
      state: "connecting",
      since: performance.now(),
      client: undefined,
      session: undefined,
      options: waiter.options,
      promised: false,
      doomed: false,
    };
    connections.add(connection);
    try {
      const client = await openConnection(
        () => options.resolve(target),
        acquireTimeoutMs,
        () => !closed && !connection.doomed,
      );
      connection.client = client;
      connection.session = createSession(
        client,
        options.maxPrepared ?? 256,
        watchOf.get(target.role),
      );
      watch(connection, client, connection.session);
      if (closed || connection.doomed) throw new Error("the database is being closed");
      grant(waiter, connection);
    } catch (error) {
      if (!closed) log.warn({ err: error, database: target.database }, "cannot connect");
      if (connection.client === undefined) gone(connection);
      else shut(connection);
      waiter.refuse(databaseUnavailable(retryLater(error)));
    }
  };

  /** Without its listeners an error of an idle connection would end the process. */
  const watch = (connection: Connection, client: Client, session: Session) => {
    const lose = (error: Error) => {
      const { state, options: held } = connection;
      session.destroy(error);
      if (state === "closing") return;
      enter(connection, "closing");
      if (state === "leased") held.lost?.(error);
    };
    client.on("error", lose);
    client.on("end", () => {
      lose(new Error("the server closed the connection"));
      gone(connection);
    });
  };

  const idleFor = (key: string) => {
    let latest: Connection | undefined;
    for (const each of connections) if (each.state === "idle" && each.key === key) latest = each;
    return latest;
  };

  /** Serves the line as far as it can, then sees to it that room is made for the rest. */
  const pump = () => {
    if (waiters.size === 0) return;
    const held = [...connections].filter(
      ({ state }) => state === "leased" || state === "connecting",
    );
    const mayHave = createAdmission(
      budget,
      held.map((each) => each.options),
    );
    let unserved = 0;
    for (const waiter of waiters) {
      if (unserved >= budget) break;
      if (!mayHave(waiter.options)) continue;
      const idle = idleFor(waiter.key);
      // Nobody is served before somebody who came earlier, not even with what that one can't use:
      // its place in the budget can be used.
      if (unserved > 0) unserved += 1;
      else if (idle !== undefined) grant(waiter, idle);
      else if (connections.size < budget) void open(waiter);
      else unserved += 1;
    }
    if (unserved > 0) makeRoom(unserved);
  };

  const makeRoom = (wanted: number) => {
    let coming = 0;
    for (const each of connections) {
      if (each.state === "closing" || (each.state === "leased" && each.promised)) coming += 1;
    }
    for (const each of inState("idle")) {
      if (coming >= wanted) return;
      shut(each);
      coming += 1;
    }
    for (const urgent of [false, true]) {
      for (const each of holders(urgent)) {
        if (coming >= wanted) return;
        if (each.options.reclaim?.(urgent) !== true) continue;
        coming += 1;
        if (each.state === "leased") each.promised = true;
      }
    }
    if (coming < wanted) hurryLater();
  };

  /** Who is asked first: targets with many connections, then who has held one for long. */
  const holders = (urgent: boolean) => {
    const now = performance.now();
    const count = new Map<string, number>();
    const leased = inState("leased").filter((each) => !each.promised);
    for (const each of leased) count.set(each.key, (count.get(each.key) ?? 0) + 1);
    return leased
      .filter((each) => !urgent || now - each.since >= holdMs)
      .sort((a, b) => (count.get(b.key) ?? 0) - (count.get(a.key) ?? 0) || a.since - b.since);
  };

  const hurryLater = () => {
    hurry ??= setTimeout(() => {
      hurry = undefined;
      pump();
    }, holdMs).unref();
  };

  const sweepLater = () => {
    sweeper ??= setTimeout(() => {
      sweeper = undefined;
      const now = performance.now();
      for (const each of inState("idle")) if (now - each.since >= idleMs) shut(each);
      if (inState("idle").length > 0) sweepLater();
    }, idleMs).unref();
  };

  const grant = (waiter: Waiter, connection: Connection) => {
    const { client, session } = connection;
    if (client === undefined || session === undefined) return;
    if (waiter.isDone) {
      // It came too late for who asked; the next one will have it.
      connection.options = {};
      enter(connection, "idle");
      sweepLater();
      pump();
      return;
    }
    const held = waiter.options;
    enter(connection, "leased");
    connection.options = held;
    waiter.grant({
      client,
      session,
      release: () => {
        if (connection.options === held) giveBack(connection, true);
      },
      destroy: (error) => {
        if (connection.options !== held) return;
        if (error !== undefined) session.destroy(error);
        giveBack(connection, false);
      },
    });
  };

  const closeAll = (match: (connection: Connection) => boolean): Promise<void> =>
    new Promise((resolve) => {
      const left = () => [...connections].filter(match);
      const force = setTimeout(() => {
        for (const each of left()) {
          each.session?.destroy(new Error("the database is being closed"));
          each.client?.connection.stream.destroy();
        }
      }, closeGraceMs);
      const check = () => {
        if (left().length > 0) return;
        clearTimeout(force);
        closers.delete(check);
        resolve();
      };
      closers.add(check);
      for (const each of left()) {
        each.doomed = true;
        if (each.state === "idle") shut(each);
        else if (each.state === "leased") each.options.reclaim?.(true);
      }
      check();
    });

  return {
    trace: options.tracing?.statement,
    lease(target, held = {}) {
      if (closed) return Promise.reject(databaseUnavailable(retryLater()));
      // A copy, so that each lease is told from the next of the same connection.
      const waiter = createWaiter(target, { ...held }, acquireTimeoutMs, (each) => {
        waiters.delete(each);
      });
      if (!waiter.isDone) waiters.add(waiter);
      pump();
      return waiter.promise;
    },
    waiting: () => waiters.size,
    hasRoom: () => waiters.size === 0 && connections.size < budget,
    stats: () => ({
      open: connections.size,
      leased: inState("leased").length,
      idle: inState("idle").length,
      waiting: waiters.size,
      budget,
    }),
    closeTarget: (match) => closeAll((each) => match(each.target)),
    async close() {
      closed = true;
      clearTimeout(sweeper);
      clearTimeout(hurry);
      for (const waiter of waiters) waiter.refuse(databaseUnavailable(retryLater()));
      await closeAll(() => true);
    },
  };
}
