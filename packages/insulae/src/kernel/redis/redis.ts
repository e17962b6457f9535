/**
 * Redis, or Valkey: one connection for the whole process, on which nobody may rely.
 *
 *            connected          late · lost
 *   absent ────────────► here ──────────────► absent      (tried again, with backoff, for ever)
 *
 * Who asks gets a reply within `timeoutMs`, or an error: while there is no connection nothing is
 * queued and nothing waits. A reply that is late (Redis is paused, the network is gone) takes the
 * connection down. So a Redis that hangs costs those who are waiting one timeout, and nobody after
 * them anything, until it greets again. After a reply that is an error (`READONLY`, `OOM`,
 * `LOADING` …) Redis is left alone for a second.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { RedisClientType } from "redis";
import { withDeadline } from "../lib/deadline.ts";
import type { Logger } from "../telemetry/log.ts";

/** What runs commands: `client.sendCommand(["GET", key])`. */
export type RedisCommands = Pick<RedisClientType, "sendCommand">;

export interface Redis {
  /** Whether it is worth asking at this moment. */
  readonly isHere: () => boolean;
  /**
   * Runs a command, or a few.
   *
   * @throws RedisAbsent if there is no reply in time, or an error. It is not known then whether the
   *   commands were carried out.
   */
  run<T>(commands: (client: RedisCommands) => Promise<T>): Promise<T>;
  /** Hears a channel whenever there is a connection; what is said in between is lost. */
  subscribe(channel: string, onMessage: (message: string) => void): void;
  close(): Promise<void>;
}

export interface RedisOptions {
  readonly url: string;
  /** How long a reply may take. */
  readonly timeoutMs: number;
  readonly log: Logger;
  /** How long it may take until a connection is one, with TLS, greetings and subscriptions. */
  readonly connectMs?: number;
}

/** Redis can't be asked now; whoever asked goes on without it. */
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

/** Resolves when the connection is made, or the first attempt has failed; the others go on. */
export async function connectRedis(options: RedisOptions): Promise<Redis> {
  const { url, timeoutMs, log, connectMs = 5_000 } = options;
  // Loaded only where there is a Redis: a start without one need not wait for it.
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
      // A connection on which nothing moves for 5 seconds is dead.
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
      if (saidAway) log.warn("Redis is back");
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
          log.warn({ err: error }, "Redis is away; going on without it");
          saidAway = true;
        }
      });
      tried.resolve();
      if (performance.now() - began > 10_000) wait = 50; // It had lasted.
      // Not all nodes at the same moment.
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
      if (!connection || !isHere()) throw new RedisAbsent("Redis is away");
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

/** @throws RedisAbsent if the reply has not come by then */
function inTime<T>(reply: Promise<T>, milliseconds: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  // If it was this process that was held up, the reply is here, and only has to be read.
  const late = setTimeout(
    () => setImmediate(() => reject(new RedisAbsent(`no reply in ${milliseconds} ms`))),
    milliseconds,
  );
  reply.then(resolve, reject).finally(() => clearTimeout(late));
  return promise;
}
