/**
 * Connections on their way from the primary to a worker. `node:cluster` keeps a connection open until the worker
 * says that it has taken it. A worker that hangs and is killed never does: the client would wait for ever.
 *
 * Node has no interface for this, so we look at the messages that `node:cluster` sends (`newconn`, in Node's
 * lib/internal/cluster/round_robin_handle.js). A worker gets the next connection of a port when it has
 * taken the one before, so one a port is all there is to remember.
 */
import type { Worker } from "node:cluster";

interface Connection {
  /** Does nothing if it is closed. */
  close(): void;
}

/** @returns for each worker that it is given: what closes the connections which that worker has not taken. */
export function createHandOvers(): (worker: Worker) => () => void {
  /** A worker that refuses a connection has it handed to another. */
  const latestWorker = new WeakMap<Connection, Worker>();

  return (worker) => {
    const latestOfPort = new Map<string, Connection>();
    const { send } = worker.process;
    const watchedSend = (...args: Parameters<typeof send>): boolean => {
      const [message, handle] = args as unknown as [{ act?: string; key?: string }, unknown];
      if (message.act === "newconn" && isConnection(handle)) {
        latestOfPort.set(String(message.key), handle);
        latestWorker.set(handle, worker);
      }
      return Reflect.apply(send, worker.process, args);
    };
    Object.assign(worker.process, { send: watchedSend });
    return () => {
      for (const connection of latestOfPort.values()) {
        if (latestWorker.get(connection) === worker) connection.close();
      }
    };
  };
}

const isConnection = (handle: unknown): handle is Connection =>
  typeof handle === "object" &&
  handle !== null &&
  "close" in handle &&
  typeof handle.close === "function";
