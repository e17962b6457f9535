/**
 * How the kernel's own work (migrating, provisioning) comes by a connection. At run time that is
 * `broker.lease`, under the process's one budget; where there is no broker, as at boot and in the
 * CLI's migrator, `connectDirectly` opens one and closes it when it is released.
 */
import { Client, type ClientBase } from "pg";
import { withDeadline } from "../lib/deadline.ts";
import { databaseUnavailable, isDatabaseError, retryLater } from "./errors.ts";
import { type ConnectionConfig, checkSettings, explained } from "./session-settings.ts";
import type { Target } from "./target.ts";

/** A broker's `Lease` is one. */
export interface Connection {
  readonly client: Client;
  release(): void;
  /** Closes it instead: its state is unknown, or nobody may find it open. */
  destroy(error?: Error): void;
}

export type Connect = (target: Target) => Promise<Connection>;

/** Runs `fn` as the owner; a connection on which something failed isn't used again. */
export async function withOwner<Result>(
  connect: Connect,
  { serverId, database }: Omit<Target, "role">,
  fn: (client: Client) => Promise<Result>,
): Promise<Result> {
  const connection = await connect({ serverId, database, role: "owner" });
  try {
    const result = await fn(connection.client);
    connection.release();
    return result;
  } catch (error) {
    connection.destroy();
    throw isLost(error) ? databaseUnavailable(retryLater(error)) : error;
  }
}

/** pg's words for a connection that has ended under a statement. */
const isLost = (error: unknown): boolean =>
  error instanceof Error && !isDatabaseError(error) && /^Connection terminated/.test(error.message);

const askMs = 3_000;

/** Whether the target's server answers within three seconds. */
export const answersNow = (connect: Connect, target: Target): Promise<boolean> =>
  withDeadline(askMs, async (signal) => {
    const connection = await connect(target);
    // Whoever asked has gone away.
    if (signal.aborted) return connection.release();
    const giveUp = () => connection.destroy();
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await connection.client.query("select");
      connection.release();
    } catch (error) {
      connection.destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }).then(
    () => true,
    () => false,
  );
/**
 * The same, and closes the connection: PostgreSQL keeps on it what it has looked up of each table, 2 MB of
 * a schema that was made.
 */
export async function withOwnerOnce<Result>(
  connect: Connect,
  { serverId, database }: Omit<Target, "role">,
  fn: (client: Client) => Promise<Result>,
): Promise<Result> {
  const connection = await connect({ serverId, database, role: "owner" });
  try {
    return await fn(connection.client);
  } catch (error) {
    throw isLost(error) ? databaseUnavailable(retryLater(error)) : error;
  } finally {
    connection.destroy();
  }
}

/** Opens a connection of its own for each call. */
export const connectDirectly =
  (resolve: (target: Target) => ConnectionConfig | Promise<ConnectionConfig>): Connect =>
  async (target) => {
    const client = await openClient(await resolve(target));
    const close = () => void client.end().catch(() => undefined);
    return { client, release: close, destroy: close };
  };

const connectTimeoutMs = 10_000;

/**
 * A connected client. An error while it is idle is seen by the next statement, not by the process.
 *
 * @throws ConnectionUnfit if it lacks the settings that were asked for.
 */
export async function openClient({ expected, ...config }: ConnectionConfig): Promise<Client> {
  const client = new Client({ connectionTimeoutMillis: connectTimeoutMs, ...config });
  client.on("error", () => undefined);
  try {
    await client.connect();
    if (expected) await checkSettings(client, expected);
    return client;
  } catch (error) {
    client.connection.stream.destroy();
    throw explained(error);
  }
}

/** Runs `fn` in a transaction: committed when it returns, rolled back when it throws. */
export async function inTransaction<Result>(
  client: ClientBase,
  fn: () => Promise<Result>,
): Promise<Result> {
  await client.query("begin");
  try {
    const result = await fn();
    await client.query("commit");
    return result;
  } catch (error) {
    // The first error says why; a connection that cannot roll back is of no further use anyway.
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}
