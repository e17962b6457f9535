/**
 * Redis or Valkey: one connection per process, on which nothing may depend.
 *
 *            connected          late · lost
 *   absent ────────────► here ──────────────► absent      (retried with backoff, forever)
 *
 * Callers get a reply within `timeoutMs` or an error. Without a connection, nothing is queued and
 * nothing waits. A late reply (Redis is paused, the network is gone) closes the connection. So a
 * hanging Redis costs the current callers one timeout, and later ones nothing, until it responds
 * again. After an error reply (`READONLY`, `OOM`, `LOADING` …) Redis is not used for a second.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { RedisClientType } from "redis";
import { withDeadline } from "../lib/deadline.ts";
import type { Logger } from "../telemetry/log.ts";

/** What runs commands: `client.sendCommand(["GET", key])`. */
export type RedisCommands = Pick<RedisClientType, "sendCommand">;

export interface Redis {
  /** Whether Redis is usable now. */
  readonly isHere: () => boolean;
  /**
   * Runs one or a few commands.
   *
   * @throws RedisAbsent if there is no reply in time, or an error reply; whether the commands were
   * executed is
   *   unknown then
   */
  run<T>(commands: (client: RedisCommands) => Promise<T>): Promise<T>;
  /** Subscribes whenever there is a connection. Messages in between are lost. */
  subscribe(channel: string, onMessage: (message: string) => void): void;
  close(): Promise<void>;
}

export interface RedisOptions {
  readonly url: string;
  /** The timeout of a reply. */
  readonly timeoutMs: number;
  readonly log: Logger;
  /** The timeout of a connection, including TLS, handshake and subscriptions. */
  readonly connectMs?: number;
}

/** Redis is unavailable; callers continue without it. */
export class RedisAbsent extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "RedisAbsent";
  }
}

const restAfterErrorMs = 1_000;
/** A node starts without Redis rather than late. */
const firstConnectionMs = 1_000;
const longestWaitMs = 2_000;

interface Connection {
  readonly client: RedisClientType;
  readonly drop: (cause: Error) => void;
}

/** Resolves when connected, or when the first attempt has failed; further attempts go on. */
export async function connectRedis(options: RedisOptions): Promise<Redis> {
  const { url, timeoutMs, log, connectMs = 5_000 } = options;
  // Load the client only if it is used.
  const { createClient } = await import("redis");
  const closing = new AbortController();
  const channels = new Map<string, (message: string) => void>();
  const tried = Promise.withResolvers<void>();
  let current: Connection | undefined;
  let restUntil = 0;
  let saidAway = false;

  const createConnection = (onLost: (cause: Error) => void): Connection => {
    const client = createClient({
      url,
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: "disabled",
      // Its own timeout ends when a command is written; `run` waits for the reply.
      commandOptions: { timeout: 0 },
      commandsQueueMaxLength: 10_000,
      // A connection without traffic for 5 seconds is dead.
      pingInterval: 2_000,
      socket: { reconnectStrategy: false, connectTimeout: 2_000, socketTimeout: 5_000 },
    });
    client.on("error", onLost);
    // Its generics name modules of Redis that nobody uses here.
    return { client: client as unknown as RedisClientType, drop: onLost };
  };

  /** Has a connection for as long as it lasts. @throws why it was lost, or could not be made */
  const connectOnce = async (): Promise<never> => {
    const lost = Promise.withResolvers<never>();
    const stop = () => lost.reject(new RedisAbsent("closed"));
    closing.signal.addEventListener("abort", stop, { once: true });
    const connection = createConnection(lost.reject);
    const { client } = connection;
    let over = false;
    // A client that is destroyed while its socket connects forgets the socket.
    client.on("connect", () => over && client.destroy());
    try {
      const greet = async () => {
        await client.connect();
        for (const [channel, onMessage] of channels) await client.subscribe(channel, onMessage);
      };
      // Its own timeouts end when a byte comes.
      await withDeadline(connectMs, () => Promise.race([greet(), lost.promise]), closing.signal);
      current = connection;
      restUntil = 0;
      tried.resolve();
      if (saidAway) log.warn("Redis is available again");
      saidAway = false;
      return await lost.promise;
    } finally {
      current = undefined;
      closing.signal.removeEventListener("abort", stop);
      over = true;
      client.destroy();
    }
  };

  const keepConnected = async (): Promise<void> => {
    for (let wait = 50; !closing.signal.aborted; wait = Math.min(wait * 2, longestWaitMs)) {
      const began = performance.now();
      await connectOnce().catch((error: unknown) => {
        if (!saidAway && !closing.signal.aborted) {
          log.warn({ err: error }, "Redis is unavailable; continuing without it");
          saidAway = true;
        }
      });
      tried.resolve();
      if (performance.now() - began > 10_000) wait = 50; // The connection had been stable.
      // Jitter, so that nodes don't reconnect at the same moment.
      const jittered = wait * (0.5 + Math.random() / 2);
      await sleep(jittered, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };

  const running = keepConnected();
  const patience = setTimeout(tried.resolve, firstConnectionMs);
  await tried.promise;
  clearTimeout(patience);

  const isHere = () => current !== undefined && performance.now() >= restUntil;
  return {
    isHere,
    async run(commands) {
      const connection = current;
      if (!connection || !isHere()) throw new RedisAbsent("Redis is unavailable");
      try {
        return await inTime(commands(connection.client), timeoutMs);
      } catch (error) {
        if (error instanceof RedisAbsent) connection.drop(error);
        else restUntil = performance.now() + restAfterErrorMs;
        throw error instanceof RedisAbsent ? error : new RedisAbsent(String(error), error);
      }
    },
    subscribe(channel, onMessage) {
      channels.set(channel, onMessage);
      if (!current) return;
      inTime(current.client.subscribe(channel, onMessage), timeoutMs).catch(current.drop);
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}

/** @throws RedisAbsent if there is no reply in time */
function inTime<T>(reply: Promise<T>, milliseconds: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  // If this process was blocked, the reply may have arrived and only has to be read.
  const late = setTimeout(
    () => setImmediate(() => reject(new RedisAbsent(`no reply in ${milliseconds} ms`))),
    milliseconds,
  );
  reply.then(resolve, reject).finally(() => clearTimeout(late));
  return promise;
}
