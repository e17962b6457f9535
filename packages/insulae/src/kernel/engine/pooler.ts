/**
 * Finds out at the start whether what is between Insulae and PostgreSQL can be worked with, instead of
 * by requests that fail. A pooler that hands connections from one transaction to the next (PgBouncer's
 * `transaction`) has to know prepared statements: it then gives each a name of its own. One that keeps a
 * connection for each client (`session`) leaves names alone.
 */
import { randomBytes } from "node:crypto";
import type { Client } from "pg";
import { withDeadline } from "../lib/deadline.ts";
import { inTransaction, openClient } from "./connect.ts";
import { type ConnectionConfig, ConnectionUnfit } from "./session-settings.ts";

const deadlineMs = 15_000;
/** So many others begin a transaction, to see whether one of them gets the connection of the first. */
const others = 4;

/**
 * Connects with each configuration as the server will.
 *
 * @throws ConnectionUnfit with what to do; what connecting throws.
 */
export async function checkConnections(configs: readonly ConnectionConfig[]): Promise<void> {
  for (const config of configs) {
    await withDeadline(deadlineMs, () => checkConnection(config));
  }
}

async function checkConnection({ expected, ...config }: ConnectionConfig): Promise<void> {
  const clients: Client[] = [];
  const open = async (): Promise<Client> => {
    const client = await openClient({
      ...config,
      ...(expected && { expected: { ...expected, exact: true } }),
    });
    clients.push(client);
    return client;
  };
  try {
    const client = await open().catch((error: unknown) => {
      const isOurs = error instanceof ConnectionUnfit || expected?.byRole !== true;
      throw isOurs ? error : new ConnectionUnfit(notLetIn(config, error), { cause: error });
    });
    const pid = await backendOf(client);
    // PostgreSQL names its own process in its greeting; a pooler makes something up.
    // (pg has it in its API; its types lack it.)
    if ((client as unknown as { processID: number }).processID === pid) return;
    await inTransaction(client, () => backendOf(client)).catch((error: unknown) => {
      throw new ConnectionUnfit(`${withoutTransactions} ${remedy}`, { cause: error });
    });
    if (await renamesStatements(client)) return;
    const shared = await backendOf(client);
    for (let i = 0; i < others; i += 1) {
      const other = await open().catch((error: unknown) => {
        throw new ConnectionUnfit(tooFew(clients.length), { cause: error });
      });
      await other.query("begin");
      if ((await backendOf(other)) === shared) {
        throw new ConnectionUnfit(`${withoutStatements} ${remedy}`);
      }
    }
  } finally {
    for (const client of clients) client.connection.stream.destroy();
  }
}

async function backendOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid ?? 0;
}

/** Whether PostgreSQL knows a statement that is prepared here by another name. */
async function renamesStatements(client: Client): Promise<boolean> {
  const name = `insulae_${randomBytes(8).toString("hex")}`;
  const { rows } = await client.query<{ named: boolean }>({
    name,
    text: "select exists (select from pg_prepared_statements where name = $1) as named",
    values: [name],
  });
  return rows[0]?.named === false;
}

const notLetIn = ({ user }: ConnectionConfig, error: unknown) =>
  `${user} can't connect by DATABASE_URL: ${error instanceof Error ? error.message : String(error)}. The connection pooler has to reach PostgreSQL and to look up the passwords of Insulae's logins (PgBouncer: auth_query, see docs/poolers.md).`;
const tooFew = (count: number) =>
  `The connection pooler in DATABASE_URL gave no more than ${count} connections. In session mode its pool must hold DB_CONNECTIONS of each process (PgBouncer: default_pool_size).`;
const withoutStatements =
  "The connection pooler in DATABASE_URL gives a connection to others between transactions, and knows no prepared statements.";
const withoutTransactions =
  "The connection pooler in DATABASE_URL allows no transactions (PgBouncer: pool_mode=statement).";
const remedy =
  "With PgBouncer, use version 1.21 or later with max_prepared_statements above 0 (docs/poolers.md), or pool_mode=session.";
