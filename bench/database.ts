/**
 * The one PostgreSQL for all measurements: the embedded one, in a folder of its own, with Insulae's
 * settings except that checkpoints are kept out of the measurements, where they would hit an
 * arbitrary contender. All clients connect over TCP, as in production.
 */
import { execFileSync } from "node:child_process";
import pg from "pg";
import { startEmbedded } from "../packages/insulae/src/embedded-postgres/supervisor.ts";
import { freePort } from "../packages/insulae/src/testing/free-port.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface Database {
  /** The administrator's URL. */
  readonly url: string;
  /** Runs `fn` as the administrator; default database: the main one. */
  connected<Result>(fn: (client: pg.Client) => Promise<Result>, database?: string): Promise<Result>;
  /** Suspends all its processes, as if it hung. @returns a function that resumes them */
  suspend(): Promise<() => void>;
  stop(): Promise<void>;
}

const quietCheckpoints = { checkpoint_timeout: "1h", max_wal_size: "4GB" };

export async function startDatabase(): Promise<Database> {
  const folder = temporaryFolder();
  const port = await freePort();
  const embedded = await startEmbedded({ dataDir: folder.path, port, settings: quietCheckpoints });
  const url = new URL(embedded.url);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  return {
    url: url.href,
    connected: (fn, database) => connected(inDatabase(url, database), fn),
    async suspend() {
      const pids = await connected(url.href, processesOf);
      for (const pid of pids) signal(pid, "SIGSTOP");
      return () => {
        for (const pid of pids) signal(pid, "SIGCONT");
      };
    },
    async stop() {
      await embedded.stop();
      folder.remove();
    },
  };
}

async function processesOf(client: pg.Client): Promise<number[]> {
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const list = (...args: string[]) =>
    execFileSync("ps", ["-o", ...args], { encoding: "utf8" })
      .trim()
      .split(/\s+/)
      .map(Number);
  const [postmaster = 0] = list("ppid=", "-p", String(rows[0]?.pid));
  return [postmaster, ...list("pid=", "--ppid", String(postmaster))];
}

function signal(pid: number, name: "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has exited meanwhile.
  }
}

function inDatabase(url: URL, database: string | undefined): string {
  const changed = new URL(url);
  if (database !== undefined) changed.pathname = `/${database}`;
  return changed.href;
}

async function connected<Result>(
  connectionString: string,
  fn: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await fn(client);
  } finally {
    await client.end();
  }
}
