/**
 * All connections of the process, under one budget.
 *
 * A connection is opened for a target, leased to one holder at a time, kept when it comes back, and
 * closed when it was idle for long or when its place in the budget is needed for another target.
 * Whoever finds the budget spent waits in line, whoever holds least first (see `fair-order.ts`). While somebody waits, room is
 * made (see `make-room.ts`). A connection counts until its socket is closed, so that the server never
 * sees more than the budget, but for the probe of one that is silent.
 *
 * Who holds as much as it may (see `admission.ts`) is passed over in the line, and so is who waits for a
 * server whose share (see `shares.ts`) is in use. A server that does not answer (see
 * `server-health.ts`) has no line: its connections are destroyed, and whoever wants one is refused.
 *
 * Long because it is one state, that of the budget, which all of it changes; what could be told apart is beside it.
 */
import { createFairShares } from "../lib/fair-shares.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { createAdmission } from "./admission.ts";
import { type Connection, createConnections, lookAt, watchEnd } from "./connections.ts";
import { databaseBusy, databaseUnavailable, retryLater } from "./errors.ts";
import { inFairOrder } from "./fair-order.ts";
import type { Lease, LeaseOptions } from "./lease.ts";
import { makeRoom } from "./make-room.ts";
import { openConnection, probeServer } from "./open-connection.ts";
import { createPipelinedConnection, type StatementWatch } from "./pipelined-connection.ts";
import { createServerHealth, lookMs } from "./server-health.ts";
import type { ConnectionConfig } from "./session-settings.ts";
import { createShares, type Share } from "./shares.ts";
import type { DatabaseRole, Target } from "./target.ts";
import { createWaiter, type Waiter } from "./waiter.ts";

export type { Lease, LeaseOptions };
export interface BrokerStats {
  readonly open: number;
  readonly leased: number;
  readonly idle: number;
  readonly waiting: number;
  readonly budget: number;
}

export interface ServerStats {
  readonly answers: boolean;
  readonly connections: number;
}

export interface Broker {
  /** Begins the trace of a statement that is about to be sent, where there are traces. */
  readonly trace: Tracing["statement"] | undefined;
  /**
   * A connection to the target.
   *
   * @throws databaseBusy (503) if none came free in time; databaseUnavailable (503) if none could
   *   be made, or the server is known not to answer.
   */
  lease(target: Target, options?: LeaseOptions): Promise<Lease>;
  /** How many wait for a connection: holders of idle ones give back while it is not 0. */
  waiting(): number;
  /** Whether one more can be opened to the target without closing another. */
  hasRoom(target: Target): boolean;
  stats(): BrokerStats;
  /** By their ids. */
  servers(): ReadonlyMap<string, ServerStats>;
  /** Whether the server was found not to answer, and has not answered since. */
  isDown(serverId: string): boolean;
  /** Calls `tell` whenever a server answers again. */
  onUp(tell: () => void): void;
  /** Connects anew to the server from now on: what is open is closed when it is given back. */
  renew(serverId: string): void;
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
  /** The control plane's server, beside which the others have shares of the budget. Default: no shares. */
  readonly mainServerId?: string;
  /** What people call a server. */
  readonly nameOf?: (serverId: string) => string;
  /**
   * A connection on which nothing comes for so long, while an answer is due, is destroyed: the server's
   * own `statement_timeout` has failed. Not those of the owner, whose migrations may take hours.
   */
  readonly answerTimeoutMs: number;
  /** What is told of the statements of those who log in as this role. */
  readonly watch?: (role: DatabaseRole) => StatementWatch;
  readonly tracing?: Tracing | undefined;
  /** Prepared statements kept on each connection; default 256. */
  readonly maxPrepared?: number;
  /** How long a holder keeps a connection before it is asked to hurry; default 50. */
  readonly holdMs?: number;
}

const closeGraceMs = 5_000;
/** So many wait for a server that has a share of its own. */
const mostOfServer = 1_000;
/** So many of tenants' sessions wait in all: they are put in order each time that one may be served. */
const mostSessions = 1_000;

export function createBroker(options: BrokerOptions): Broker {
  const { budget, idleMs, acquireTimeoutMs, log } = options;
  const holdMs = options.holdMs ?? 50;
  const { watch: watchFor } = options;
  const roles = ["app", "control"] as const;
  const watchOf = new Map<DatabaseRole, StatementWatch>(
    watchFor && roles.map((role) => [role, watchFor(role)] as const),
  );

  const sharesOf = createShares(budget, options.mainServerId);
  const connections = createConnections(sharesOf);
  const { enter, inState, idleFor } = connections;
  /** The control plane's are served first. */
  const lines = { control: new Set<Waiter>(), tenants: new Set<Waiter>() };
  const lineOf = ({ role }: Target) => (role === "control" ? lines.control : lines.tenants);
  const waiting = () => lines.control.size + lines.tenants.size;
  const allWaiters = () => [...lines.control, ...lines.tenants];
  /** How many wait for a server that has a share of its own: they are looked at again and again. */
  const crowds = new Map<Share, number>();
  const sessionsWaiting = createFairShares(mostSessions, "newest");
  const closers = new Set<() => void>();
  const upListeners: (() => void)[] = [];
  let closed = false;
  let sweeper: NodeJS.Timeout | undefined;
  let hurry: NodeJS.Timeout | undefined;
  let looker: NodeJS.Timeout | undefined;
  const nameOf = (serverId: string) => options.nameOf?.(serverId) ?? serverId;

  const health = createServerHealth({
    probe: (target) => probeServer(() => options.resolve(target)),
    onDown(serverId, reason) {
      log.error(
        { err: reason, server: nameOf(serverId) },
        "A database server does not answer: its tenants get 503 until it does",
      );
      for (const each of [...connections].filter(({ target }) => target.serverId === serverId)) {
        each.doomed = true;
        each.session?.destroy(reason);
        each.waiter.refuse(serverDown(reason));
      }
      for (const waiter of allWaiters()) {
        if (waiter.target.serverId === serverId) waiter.refuse(serverDown(reason));
      }
    },
    onUp(serverId) {
      log.info({ server: nameOf(serverId) }, "A database server answers again");
      for (const tell of upListeners) tell();
    },
  });
  const serverDown = (reason?: Error) => databaseUnavailable(retryLater(reason));

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
    const { target, key } = waiter;
    lineOf(target).delete(waiter);
    const connection: Connection = {
      target,
      key,
      state: "connecting",
      since: performance.now(),
      client: undefined,
      session: undefined,
      options: waiter.options,
      waiter,
      promised: false,
      doomed: false,
      bytesRead: 0,
      silentLooks: 0,
    };
    connections.add(connection);
    looker ??= setInterval(() => {
      if (connections.size > 0) return lookAt(connections, health, options.answerTimeoutMs);
      clearInterval(looker);
      looker = undefined;
    }, lookMs).unref();
    try {
      const client = await openConnection(
        () => options.resolve(target),
        acquireTimeoutMs,
        () => !closed && !connection.doomed,
      );
      connection.client = client;
      connection.session = createPipelinedConnection(
        client,
        options.maxPrepared ?? 256,
        watchOf.get(target.role),
      );
      watchEnd(connection, client, connection.session, connections, gone);
      health.connected(target);
      if (closed || connection.doomed) throw new Error("the database is being closed");
      grant(waiter, connection);
    } catch (error) {
      if (!closed) {
        const server = nameOf(target.serverId);
        log.warn({ err: error, server, database: target.database }, "cannot connect");
      }
      if (connection.client === undefined) {
        gone(connection);
        if (!connection.doomed) health.couldNotConnect(target, error);
      } else {
        shut(connection);
      }
      waiter.refuse(databaseUnavailable(retryLater(error)));
    }
  };

  /** Serves the lines as far as it can, then sees to it that room is made for the rest. */
  const pump = () => {
    if (waiting() === 0) return;
    const held = [...connections].filter(
      ({ state }) => state === "leased" || state === "connecting",
    );
    const mayHave = createAdmission(budget, options.mainServerId !== undefined, held);
    const wanted = new Map<Share, number>();
    for (const line of [lines.control, lines.tenants]) {
      let unserved = 0;
      for (const waiter of inFairOrder(line, held)) {
        if (unserved >= budget) break;
        if (!mayHave(waiter)) continue;
        const idle = idleFor(waiter.key);
        const shares = sharesOf(waiter.target);
        // Nobody is served before somebody whose turn it is and who wants the same share, not even with
        // what that one can't use: its place in the budget can be used.
        const lacking = shares.find(
          (share) => wanted.has(share) || (idle === undefined && connections.isFull(share)),
        );
        if (lacking !== undefined) wanted.set(lacking, (wanted.get(lacking) ?? 0) + 1);
        else if (idle !== undefined) grant(waiter, idle);
        else void open(waiter);
        // A server's own share is no obstacle to those who come after.
        if (lacking !== undefined && !lacking.ofServer) unserved += 1;
      }
    }
    for (const [share, count] of wanted) {
      const helps = ({ target }: Connection) => sharesOf(target).includes(share);
      if (!makeRoom(connections, { count, helps }, holdMs, shut)) hurryLater();
    }
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

  /** What matches is closed when it is given back, and asked for. */
  const retire = (match: (connection: Connection) => boolean) => {
    for (const each of [...connections].filter(match)) {
      each.doomed = true;
      if (each.state === "idle") shut(each);
      else if (each.state === "leased") each.options.reclaim?.(true);
    }
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
      retire(match);
      check();
    });

  return {
    trace: options.tracing?.statement,
    lease(target, held = {}) {
      if (closed || health.isDown(target.serverId)) return Promise.reject(serverDown());
      const share = sharesOf(target).find(({ ofServer }) => ofServer);
      const crowd = share ? (crowds.get(share) ?? 0) : 0;
      if (crowd >= mostOfServer) return Promise.reject(databaseBusy(retryLater()));
      const busy = () => databaseBusy(retryLater());
      const place = held.holder && sessionsWaiting.begin(held.holder, () => waiter.refuse(busy()));
      if (place?.grow(1) === false) return Promise.reject(busy());
      if (share) crowds.set(share, crowd + 1);
      // A copy, so that each lease is told from the next of the same connection.
      const waiter = createWaiter(target, { ...held }, acquireTimeoutMs, (each) => {
        place?.end();
        lineOf(target).delete(each);
        if (share) crowds.set(share, (crowds.get(share) ?? 0) - 1);
      });
      if (!waiter.isDone) lineOf(target).add(waiter);
      pump();
      return waiter.promise;
    },
    waiting,
    hasRoom: (target) => waiting() === 0 && !sharesOf(target).some(connections.isFull),
    stats: () => ({
      open: connections.size,
      leased: inState("leased").length,
      idle: inState("idle").length,
      waiting: waiting(),
      budget,
    }),
    servers() {
      const counts = connections.counts();
      const states = [...health.states()];
      return new Map(
        states.map(([id, answers]) => [id, { answers, connections: counts.get(id) ?? 0 }]),
      );
    },
    isDown: health.isDown,
    onUp: (tell) => void upListeners.push(tell),
    renew(serverId) {
      health.forget(serverId);
      retire(({ target }) => target.serverId === serverId);
    },
    closeTarget: (match) => closeAll((each) => match(each.target)),
    async close() {
      closed = true;
      clearTimeout(sweeper);
      clearTimeout(hurry);
      clearInterval(looker);
      health.close();
      for (const waiter of allWaiters()) waiter.refuse(databaseUnavailable(retryLater()));
      await closeAll(() => true);
    },
  };
}
