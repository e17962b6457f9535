import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Embedded, startEmbedded } from "../kernel/database/embedded/supervisor.ts";

/** Names the PostgreSQL (its administrator's URL) that tests make their databases on. */
export const testServerVariable = "INSULAE_TEST_DATABASE_URL";

/** Starts a PostgreSQL in a temporary folder; `stop()` removes both. */
export async function startTestServer(): Promise<Embedded> {
  const dataDir = mkdtempSync(join(tmpdir(), "insulae-test-"));
  const remove = () => rmSync(dataDir, { recursive: true, force: true });
  try {
    // Each worker has an app or more, each with its own connections.
    const settings = { max_connections: 300 };
    const server = await startEmbedded({ dataDir, durable: false, settings });
    const stop = () => server.stop().finally(remove);
    return { ...server, stop };
  } catch (error) {
    remove();
    throw error;
  }
}

/**
 * The server to make test databases on: the run's, or, where the test runner was not told of
 * `global-setup.ts`, one for this process, which ends with it.
 */
export async function testServerUrl(): Promise<string> {
  const known = process.env[testServerVariable];
  if (known) return known;
  const server = await startTestServer();
  process.env[testServerVariable] = server.url;
  return server.url;
}
