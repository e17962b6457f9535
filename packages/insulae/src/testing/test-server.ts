import { chmodSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Embedded, startEmbedded } from "../embedded-postgres/supervisor.ts";

/** Names the PostgreSQL (its administrator's URL) that tests make their databases on. */
export const testServerVariable = "INSULAE_TEST_DATABASE_URL";

const prefix = "insulae-test-server-";
const memory = "/dev/shm";
const enoughBytes = 4 * 2 ** 30;

/**
 * Makes a folder for a server that forgets everything, in memory where there is enough of it: tests make
 * and drop databases of hundreds of files, and for each new file ext4 looks through those that were
 * deleted in the last seconds (35 files of tests took 26 s of the kernel's time on a disk, and 10 here).
 */
export function makeServerFolder(): string {
  const root = hasMemory() ? memory : tmpdir();
  removeOrphans(root);
  const folder = mkdtempSync(join(root, `${prefix}${process.pid}-`));
  chmodSync(folder, 0o711); // A PostgreSQL that root starts runs as somebody else.
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

/** What runs that were killed have left would fill the memory. */
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
    return (error as NodeJS.ErrnoException).code === "EPERM"; // Node's errors of the system
  }
}

/** Starts a PostgreSQL that forgets everything, in a folder that the caller removes. */
export function startTestServer(folder: string): Promise<Embedded> {
  return startEmbedded({
    dataDir: join(folder, "server"),
    durable: false,
    // Each worker has an app or more, each with its own connections.
    settings: { max_connections: 300, file_copy_method: "clone" },
  });
}

/**
 * The server to make test databases on: the run's, or, where the test runner was not told of
 * `global-setup.ts`, one for this process, which ends with it.
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

/** Another PostgreSQL than the one of the test databases: a further server of an installation. */
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
