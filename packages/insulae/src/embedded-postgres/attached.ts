/**
 * Lets attached processes finish before the owner stops the server, so that concurrent commands on
 * one data folder all succeed. Each attached process holds a shared advisory lock while it uses the
 * server. The owner stops the server once it holds the lock exclusively. A process that arrives
 * then waits for the lock, is disconnected by the stop, and restarts the server.
 *
 * Locks belong to a database, so everybody connects to `postgres`. A killed process leaves no lock
 * behind.
 */
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

const key = "hashtextextended('insulae attached', 0)";

/** How long the owner waits for the others, which may be servers that run for months. */
const patienceMs = 10_000;

function openClient(url: string, timeoutMs: number, socket = new Socket()): pg.Client {
  const connectionString = new URL(url);
  connectionString.pathname = "/postgres";
  const client = new pg.Client({
    connectionString: connectionString.href,
    connectionTimeoutMillis: timeoutMs,
    stream: () => socket,
  });
  client.on("error", () => {}); // The server has stopped; its supervisor notices.
  return client;
}

/**
 * Keeps the owner from stopping the server, without keeping this process alive.
 *
 * @returns a function that releases the hold
 * @throws the error of `pg` if the server is stopping
 */
export async function holdServer(url: string): Promise<() => Promise<void>> {
  const socket = new Socket();
  const client = openClient(url, patienceMs, socket);
  const end = () => {
    socket.ref();
    return client.end().catch(() => {});
  };
  try {
    await client.connect();
    await client.query(`select pg_advisory_lock_shared(${key})`);
  } catch (error) {
    await end();
    throw error;
  }
  socket.unref();
  return end;
}

/**
 * Waits up to ten seconds until nobody else holds the server, and stops it. A server that doesn't
 * respond is stopped without waiting.
 */
export async function stopUnheld(
  url: string,
  stop: () => Promise<void>,
  log: (message: string) => void,
): Promise<void> {
  const client = openClient(url, 1_000);
  try {
    await client.connect();
    await untilUnheld(client, log);
  } catch {
    // The server is stopping, has no free connections, or hangs.
  }
  await stop();
  await client.end().catch(() => {});
}

async function untilUnheld(client: pg.Client, log: (message: string) => void): Promise<void> {
  const until = performance.now() + patienceMs;
  const noticeAt = until - patienceMs + 1_000;
  for (let noticed = false; performance.now() < until; await sleep(50)) {
    const query = { text: `select pg_try_advisory_lock(${key}) as free`, query_timeout: 1_000 };
    const { rows } = await client.query(query);
    if (rows[0]?.free) return;
    if (noticed || performance.now() < noticeAt) continue;
    noticed = true;
    log("Other processes use the embedded PostgreSQL: waiting up to 10 s for them to finish …");
  }
}
