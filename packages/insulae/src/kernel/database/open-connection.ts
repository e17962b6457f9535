import { setTimeout as sleep } from "node:timers/promises";
import { Client, type ClientConfig, types } from "pg";
import { withDeadline } from "../deadline.ts";
import { isPassing } from "./errors.ts";
import { type ConnectionConfig, checkSettings, explained } from "./session-settings.ts";

/** The pauses between tries: a restart of the server or a moment without a free slot is survived. */
const pausesMs = [50, 150, 400];

/**
 * A connected client in pipeline mode. What goes away by itself (connection refused, starting up,
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

async function connectOnce(
  { expected, ...config }: ConnectionConfig,
  timeoutMs: number,
): Promise<Client> {
  const client = new Client({
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    types: typeParsers,
    ...config,
    pipeline: true,
  });
  const ignore = () => {};
  client.on("error", ignore);
  try {
    await client.connect();
    if (expected) await withDeadline(timeoutMs, () => checkSettings(client, expected));
    return client;
  } catch (error) {
    client.connection.stream.destroy();
    throw explained(error);
  } finally {
    // The broker listens from here on; it does so before any other event can be read.
    setImmediate(() => client.off("error", ignore));
  }
}

const dateOid = 1082;

/** A date stays text (`2026-02-28`): as a Date it would be an instant in this process's zone. */
const typeParsers: NonNullable<ClientConfig["types"]> = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === dateOid
      ? (text: string) => text
      : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};
