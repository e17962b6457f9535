/**
 * The owner of a server stops it for everybody, so it first lets those finish who attached to it: three
 * commands at once on one data folder all succeed. Each process that attaches holds an advisory lock, shared,
 * for as long as it uses the server. The owner stops the server once it holds the lock alone; whoever comes
 * then waits for the lock, is cut off by the stop, and starts the server anew.
 *
 * Locks belong to a database, so all connect to `postgres`. A killed process leaves no lock behind.
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
  client.on("error", () => {}); // The server has ended; whoever watches it notices.
  return client;
}

/**
 * Keeps the owner from stopping the server. Doesn't keep the process alive.
 *
 * @returns how to let go
 * @throws what `pg` does, if the server is stopping
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
 * Waits until nobody else holds the server, for ten seconds at most, and stops it. A server that doesn't
 * answer is stopped without waiting.
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
    // It is ending, or full, or hangs.
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
    log("Other processes use the embedded PostgreSQL: waiting up to 10 s for them to end …");
  }
}
