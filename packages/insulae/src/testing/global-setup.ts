/**
 * Vitest's `globalSetup`: one embedded PostgreSQL for the whole run, in a temporary folder, shared by
 * all workers through the environment. Where `INSULAE_TEST_DATABASE_URL` is set already, that
 * PostgreSQL (its administrator, any version from 15) is used instead.
 *
 * @example
 * // vitest.config.ts
 * export default defineConfig({ test: { globalSetup: ["insulae/testing/global-setup"] } });
 */
import { startTestServer, testServerVariable } from "./test-server.ts";

export default async function setup(): Promise<() => Promise<void>> {
  if (process.env[testServerVariable]) return async () => {};
  const server = await startTestServer();
  process.env[testServerVariable] = server.url;
  return async () => {
    delete process.env[testServerVariable];
    await server.stop();
  };
}
