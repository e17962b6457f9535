import { setTimeout as sleep } from "node:timers/promises";
import { Client, type ClientConfig, types } from "pg";
import { DeadlineExceeded, withDeadline } from "../lib/deadline.ts";
import { isPassing } from "./errors.ts";
import { type ConnectionConfig, checkSettings, explained } from "./session-settings.ts";

/** The pauses between tries: a restart of the server or a moment without a free slot is survived. */
const pausesMs = [50, 150, 400];

/**
 * A connected client. What goes away by itself (connection refused, starting up,
 * too many clients) is tried again for about half a second.
 *
 * @param timeoutMs for each try, and for the look at its settings.
 * @param isWanted whether to go on trying.
 */
export async function openConnection(
  resolve: () => ConnectionConfig | Promise<ConnectionConfig>,
  timeoutMs: number,
  isWanted: () => boolean,
): Promise<Client> {
  for (const pauseMs of pausesMs) {
    try {
      return await connectOnce(await resolve(), timeoutMs);
    } catch (error) {
      if (!isPassing(error) || !isWanted()) throw error;
    }
    await sleep(pauseMs);
  }
  return connectOnce(await resolve(), timeoutMs);
}

const tickMs = 100;
const probeTicks = 20;

/**
 * Asks a server on a connection of its own whether it answers within two seconds. They are counted in
 * ticks: had this process stood still meanwhile, the clock would say that the server had not answered.
 *
 * @throws what connecting throws; DeadlineExceeded
 */
export async function probeServer(
  resolve: () => ConnectionConfig | Promise<ConnectionConfig>,
): Promise<void> {
  const { expected: _, ...config } = await resolve();
  const end = new AbortController();
  const late = Promise.withResolvers<never>();
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
    if (ticks === probeTicks) late.reject(new DeadlineExceeded(tickMs * probeTicks));
  }, tickMs);
  const ask = async () => {
    const client = await connectOnce(config, 0, end.signal);
    client.on("error", () => {});
    await client.query("select");
  };
  try {
    await Promise.race([ask(), late.promise]);
  } finally {
    clearInterval(timer);
    end.abort();
  }
}

/** @param end closes the connection, also one that is being made. */
async function connectOnce(
  { expected, ...config }: ConnectionConfig,
  timeoutMs: number,
  end?: AbortSignal,
): Promise<Client> {
  const client = new Client({
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    types: typeParsers,
    ...config,
  });
  const ignore = () => {};
  client.on("error", ignore);
  end?.addEventListener("abort", () => client.connection.stream.destroy(), { once: true });
  try {
    await client.connect();
    if (expected) await withDeadline(timeoutMs, () => checkSettings(client, expected));
  } catch (error) {
    // Whatever it says while it closes.
    client.connection.stream.destroy();
    throw explained(error);
  }
  // The broker listens from here on; it does so before any other event can be read.
  setImmediate(() => client.off("error", ignore));
  return client;
}

const dateOid = 1082;

/** A date stays text (`2026-02-28`): as a Date it would be an instant in this process's zone. */
const typeParsers: NonNullable<ClientConfig["types"]> = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === dateOid
      ? (text: string) => text
      : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};
