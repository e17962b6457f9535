/**
 * How the kernel's own work (migrating, provisioning) comes by a connection. At run time that is
 * `broker.lease`, under the process's one budget; where there is no broker, as at boot and in the
 * CLI's migrator, `connectDirectly` opens one and closes it when it is released.
 */
import { Client, type ClientBase, type ClientConfig } from "pg";
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
    throw error;
  }
}

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
  } finally {
    connection.destroy();
  }
}

/** Opens a connection of its own for each call. */
export const connectDirectly =
  (resolve: (target: Target) => ClientConfig | Promise<ClientConfig>): Connect =>
  async (target) => {
    const client = await openClient(await resolve(target));
    const close = () => void client.end().catch(() => undefined);
    return { client, release: close, destroy: close };
  };

const connectTimeoutMs = 10_000;

/** A connected client. An error while it is idle is seen by the next statement, not by the process. */
export async function openClient(config: ClientConfig): Promise<Client> {
  const client = new Client({ connectionTimeoutMillis: connectTimeoutMs, ...config });
  client.on("error", () => undefined);
  await client.connect();
  return client;
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
