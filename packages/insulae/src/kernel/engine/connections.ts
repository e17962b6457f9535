/** The broker's connections: in which state each is, and how many each share has. */
import type { Socket } from "node:net";
import type { Client } from "pg";
import { NoAnswer } from "./errors.ts";
import type { LeaseOptions } from "./lease.ts";
import type { PipelinedConnection } from "./pipelined-connection.ts";
import { lookMs, type ServerHealth } from "./server-health.ts";
import type { Share } from "./shares.ts";
import type { Target } from "./target.ts";
import type { Waiter } from "./waiter.ts";

export type ConnectionState = "connecting" | "idle" | "leased" | "closing";

export interface Connection {
  readonly target: Target;
  readonly key: string;
  state: ConnectionState;
  since: number;
  client: Client | undefined;
  session: PipelinedConnection | undefined;
  /** Of the lease it is under. */
  options: LeaseOptions;
  /** Whom it is being opened for. */
  readonly waiter: Waiter;
  /** The holder has said that it will be back soon. */
  promised: boolean;
  /** To be closed when it comes back. */
  doomed: boolean;
  /** What had come on it by the last look. */
  bytesRead: number;
  /** Looks in a row at which an answer was due and nothing had come. */
  silentLooks: number;
}

export interface Connections extends Iterable<Connection> {
  readonly size: number;
  add(connection: Connection): void;
  /** @returns whether it was one. */
  delete(connection: Connection): boolean;
  enter(connection: Connection, state: ConnectionState): void;
  inState(state: ConnectionState): Connection[];
  /** The one that came back last. */
  idleFor(key: string): Connection | undefined;
  isFull(share: Share): boolean;
  /** By server. */
  counts(): ReadonlyMap<string, number>;
}

export function createConnections(sharesOf: (target: Target) => readonly Share[]): Connections {
  /** In the order in which they came to their state: the first idle one is idle the longest. */
  const all = new Set<Connection>();
  const used = new Map<string, number>();
  const count = (target: Target, change: 1 | -1) => {
    for (const { name } of sharesOf(target)) used.set(name, (used.get(name) ?? 0) + change);
  };
  return {
    [Symbol.iterator]: () => all.values(),
    get size() {
      return all.size;
    },
    add(connection) {
      all.add(connection);
      count(connection.target, 1);
    },
    delete(connection) {
      if (!all.delete(connection)) return false;
      count(connection.target, -1);
      return true;
    },
    enter(connection, state) {
      connection.state = state;
      connection.since = performance.now();
      // It may be gone already.
      if (all.delete(connection)) all.add(connection);
    },
    inState: (state) => [...all].filter((each) => each.state === state),
    idleFor(key) {
      let latest: Connection | undefined;
      for (const each of all) if (each.state === "idle" && each.key === key) latest = each;
      return latest;
    },
    isFull: ({ name, max }) => (used.get(name) ?? 0) >= max,
    counts() {
      const counts = new Map<string, number>();
      for (const { target } of all) {
        counts.set(target.serverId, (counts.get(target.serverId) ?? 0) + 1);
      }
      return counts;
    },
  };
}

/**
 * Looks at which connections something has come since the last look. Those on which an answer has been
 * due for too long are destroyed.
 */
export function lookAt(
  connections: Connections,
  health: Pick<ServerHealth, "look">,
  answerTimeoutMs: number,
): void {
  const sockets = [...connections].map((each) => {
    const { state, session, target } = each;
    // pg's stream is a socket, with or without TLS.
    const socket = each.client?.connection.stream as Socket | undefined;
    const bytesRead = socket?.bytesRead ?? 0;
    const wasHeard = bytesRead > each.bytesRead;
    // A server that lives closes its end at once, too.
    const isWaiting =
      state === "connecting" || state === "closing" || (state === "leased" && session?.isWaiting);
    each.bytesRead = bytesRead;
    each.silentLooks = isWaiting && !wasHeard ? each.silentLooks + 1 : 0;
    return { each, target, isWaiting: isWaiting === true, wasHeard };
  });
  health.look(sockets);
  for (const { each } of sockets) {
    if (each.target.role === "owner" || each.silentLooks * lookMs < answerTimeoutMs) continue;
    each.session?.destroy(new NoAnswer(answerTimeoutMs));
  }
}

/** Without listeners an error of an idle connection would end the process. @param gone its socket is closed. */
export function watchEnd(
  connection: Connection,
  client: Client,
  session: PipelinedConnection,
  { enter }: Pick<Connections, "enter">,
  gone: (connection: Connection) => void,
): void {
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
}
