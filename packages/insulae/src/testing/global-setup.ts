/**
 * Vitest's `globalSetup`: one embedded PostgreSQL for the whole run, shared by all workers, and a
 * temporary folder for the workers (`TMPDIR`); both are removed at the end of the run. If
 * `INSULAE_TEST_DATABASE_URL` is set, that PostgreSQL (the administrator's URL, version 15 or
 * later) is used instead, unless an installation uses it.
 *
 * @example
 * // vitest.config.ts
 * export default defineConfig({ test: { globalSetup: ["insulae/testing/global-setup"] } });
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openClient } from "../kernel/engine/connect.ts";
import { createSecrets } from "../kernel/lib/secrets.ts";
import { markToSet } from "../kernel/schema/role-claim.ts";
import { leftOutTests } from "./left-out.ts";
import { testMasterSecret } from "./test-secret.ts";
import { makeServerFolder, startTestServer, testServerVariable } from "./test-server.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const given = process.env[testServerVariable];
  if (given) await refuseInstallations(given);
  const folder = mkdtempSync(join(tmpdir(), "insulae-test-"));
  chmodSync(folder, 0o711); // a PostgreSQL started by root runs as another user
  process.env.TMPDIR = folder;
  const serverFolder = makeServerFolder();
  const server = given ? undefined : await startTestServer(serverFolder);
  if (server) process.env[testServerVariable] = server.url;
  return async () => {
    await server?.stop();
    const leftOut = leftOutTests(folder);
    if (leftOut.length > 0) {
      console.warn(`\nSKIPPED, because a program is missing:\n  ${leftOut.join("\n  ")}`);
    }
    for (const made of [folder, serverFolder]) rmSync(made, { recursive: true, force: true });
  };
}

/** Tests change the server's roles, which would lock an installation out. */
async function refuseInstallations(url: string): Promise<void> {
  const client = await openClient({ connectionString: url });
  try {
    await markToSet(client, createSecrets(testMasterSecret));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`The tests do not run on the server in ${testServerVariable}. ${why}`);
  } finally {
    await client.end();
  }
}
