/**
 * A database per test, cloned from a template in about 20 ms (`file_copy`; the default, `wal_log`,
 * takes 45). A template is created once per key, by the first who needs it, while others wait. It
 * is built under a temporary name, so an incomplete one is never used.
 */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { testServerUrl } from "./test-server.ts";

export interface TestDatabase {
  /** The administrator's (superuser's) URL. */
  readonly url: string;
  readonly name: string;
  /**
   * Drops the database.
   *
   * @throws Error if a connection to it is still open: it leaked
   */
  drop(): Promise<void>;
}

export interface TestTemplate {
  /** Identifies the content; different content needs a different key. */
  readonly key: string;
  /** Fills the empty database at `url`, and closes its connections. */
  readonly prepare: (url: string) => Promise<void>;
}

/**
 * Creates a database for one test or test file: empty, or a copy of a template.
 *
 * @example
 * const database = await createTestDatabase();
 * afterAll(() => database.drop());
 */
export async function createTestDatabase(template?: TestTemplate): Promise<TestDatabase> {
  const server = await testServerUrl();
  const source = template === undefined ? "template1" : await templateFor(server, template);
  const name = `insulae_test_${randomBytes(8).toString("hex")}`;
  await onServer(server, (connection) => clone(connection, name, source));
  return { url: withDatabase(server, name), name, drop: () => drop(server, name) };
}

/** The server's URL with another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

async function clone(connection: pg.Client, name: string, source: string): Promise<void> {
  await connection.query(`create database ${name} template ${source} strategy file_copy`);
}

async function templateFor(server: string, { key, prepare }: TestTemplate): Promise<string> {
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 16);
  const name = `insulae_test_template_${hash}`;
  await onServer(server, async (connection) => {
    // One at a time, whatever the key, because they may share roles and databases. The lock is
    // released when the connection closes; all workers connect to the same database.
    await connection.query("select pg_advisory_lock(hashtextextended('insulae test template', 0))");
    const found = await connection.query("select from pg_database where datname = $1", [name]);
    if (found.rowCount !== 0) return;
    const draft = `${name}_draft`;
    await connection.query(`drop database if exists ${draft} with (force)`);
    await clone(connection, draft, "template1");
    await prepare(withDatabase(server, draft));
    await connection.query(`alter database ${draft} rename to ${name}`);
  });
  return name;
}

async function drop(server: string, name: string): Promise<void> {
  await onServer(server, async (connection) => {
    const left = await connectionsLeft(connection, name);
    await connection.query(`drop database if exists ${name} with (force)`);
    if (left.length === 0) return;
    throw new Error(`${left.length} connections to a test database were left open: ${left}`);
  });
}

/** A closed connection's backend takes a moment to exit. */
async function connectionsLeft(connection: pg.Client, name: string): Promise<string[]> {
  for (let tries = 0; ; tries += 1) {
    const { rows } = await connection.query<{ who: string }>(
      `select concat_ws(' ', usename, application_name, state, query) as who
       from pg_stat_activity
       where datname = $1 and backend_type = 'client backend'`,
      [name],
    );
    if (rows.length === 0 || tries === 20) return rows.map((row) => row.who);
    await sleep(50);
  }
}

async function onServer(url: string, work: (connection: pg.Client) => Promise<void>) {
  const connection = new pg.Client({ connectionString: url });
  await connection.connect();
  try {
    await work(connection);
  } finally {
    await connection.end();
  }
}
