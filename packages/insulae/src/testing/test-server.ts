import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Embedded, startEmbedded } from "../kernel/database/embedded/supervisor.ts";

/** Names the PostgreSQL (its administrator's URL) that tests make their databases on. */
export const testServerVariable = "INSULAE_TEST_DATABASE_URL";

/** Starts a PostgreSQL that forgets everything, in a folder that the caller removes. */
export function startTestServer(folder: string): Promise<Embedded> {
  return startEmbedded({
    dataDir: join(folder, "server"),
    durable: false,
    // Each worker has an app or more, each with its own connections.
    settings: { max_connections: 300 },
  });
}

/**
 * The server to make test databases on: the run's, or, where the test runner was not told of
 * `global-setup.ts`, one for this process, which ends with it.
 */
export async function testServerUrl(): Promise<string> {
  const known = process.env[testServerVariable];
  if (known) return known;
  const folder = mkdtempSync(join(tmpdir(), "insulae-test-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const server = await startTestServer(folder);
  process.env[testServerVariable] = server.url;
  return server.url;
}
