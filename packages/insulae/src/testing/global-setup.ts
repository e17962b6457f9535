/**
 * Vitest's `globalSetup`: one embedded PostgreSQL for the whole run, shared by all workers, and
 * a temporary folder that is the workers' own (`TMPDIR`); both go when the run ends. Where
 * `INSULAE_TEST_DATABASE_URL` is set already, that PostgreSQL (its administrator, any version from
 * 15) is used instead.
 *
 * @example
 * // vitest.config.ts
 * export default defineConfig({ test: { globalSetup: ["insulae/testing/global-setup"] } });
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leftOutTests } from "./left-out.ts";
import { makeServerFolder, startTestServer, testServerVariable } from "./test-server.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "insulae-test-"));
  chmodSync(folder, 0o711); // A PostgreSQL that root starts runs as somebody else.
  process.env.TMPDIR = folder;
  const serverFolder = makeServerFolder();
  const server = process.env[testServerVariable] ? undefined : await startTestServer(serverFolder);
  if (server) process.env[testServerVariable] = server.url;
  return async () => {
    await server?.stop();
    const leftOut = leftOutTests(folder);
    if (leftOut.length > 0) {
      console.warn(`\nLEFT OUT, for want of a program:\n  ${leftOut.join("\n  ")}`);
    }
    for (const made of [folder, serverFolder]) rmSync(made, { recursive: true, force: true });
  };
}
