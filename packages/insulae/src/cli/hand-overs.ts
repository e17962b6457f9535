/**
 * Tracks connections on their way from the primary to a worker. `node:cluster` keeps a connection
 * open until the worker confirms it. A worker that hangs and is killed never does, and the client
 * would wait forever.
 *
 * Node has no API for this, so this observes the messages that `node:cluster` sends (`newconn`, in
 * Node's lib/internal/cluster/round_robin_handle.js). A worker gets the next connection of a port
 * only after it has accepted the previous one, so there is at most one per port to remember.
 */
import type { Worker } from "node:cluster";

interface Connection {
  /** No effect if already closed. */
  close(): void;
}

/**
 * @returns a function that watches a worker and returns how to close the connections it has not
 * accepted
 */
export function createHandOvers(): (worker: Worker) => () => void {
  /** If a worker refuses a connection, another gets it. */
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
