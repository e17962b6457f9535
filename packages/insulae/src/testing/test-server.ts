import { chmodSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Embedded, startEmbedded } from "../embedded-postgres/supervisor.ts";

/** The administrator's URL of the PostgreSQL for test databases. */
export const testServerVariable = "INSULAE_TEST_DATABASE_URL";

const prefix = "insulae-test-server-";
const memory = "/dev/shm";
const enoughBytes = 4 * 2 ** 30;

/**
 * Creates a folder for a non-durable server, in memory if there is enough: tests create and drop
 * databases of hundreds of files, and ext4 scans recently deleted inodes for each new file (35 test
 * files took 26 s of kernel time on a disk, 10 here).
 */
export function makeServerFolder(): string {
  const root = hasMemory() ? memory : tmpdir();
  removeOrphans(root);
  const folder = mkdtempSync(join(root, `${prefix}${process.pid}-`));
  chmodSync(folder, 0o711); // a PostgreSQL started by root runs as another user
  return folder;
}

function hasMemory(): boolean {
  try {
    const { bavail, bsize } = statfsSync(memory);
    return bavail * bsize >= enoughBytes;
  } catch {
    return false;
  }
}

/** Remains of killed runs would fill the memory. */
function removeOrphans(root: string): void {
  for (const name of readdirSync(root)) {
    const owner = name.startsWith(prefix) && /^\d+/.exec(name.slice(prefix.length))?.[0];
    if (owner && !isRunning(Number(owner)))
      rmSync(join(root, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // Node's system errors have a code
  }
}

/** Starts a non-durable PostgreSQL, in a folder that the caller removes. */
export function startTestServer(folder: string): Promise<Embedded> {
  return startEmbedded({
    dataDir: join(folder, "server"),
    durable: false,
    // Each worker has one or more apps, with their own connections.
    settings: { max_connections: 300, file_copy_method: "clone" },
  });
}

/**
 * The server for test databases: the run's, or, without `global-setup.ts`, one that lives as long
 * as this process.
 */
export async function testServerUrl(): Promise<string> {
  const known = process.env[testServerVariable];
  if (known) return known;
  const folder = makeServerFolder();
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const server = await startTestServer(folder);
  process.env[testServerVariable] = server.url;
  return server.url;
}

export interface SecondServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** A second PostgreSQL, for tests of installations with several servers. */
export async function startSecondServer(): Promise<SecondServer> {
  const folder = makeServerFolder();
  const server = await startTestServer(folder);
  return {
    url: server.url,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
