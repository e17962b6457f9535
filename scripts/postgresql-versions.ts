/**
 * `npm run postgresql-versions [-- 15 17]`: runs the tests that depend on PostgreSQL's version on
 * the other supported versions. First as an administrator who is not a superuser, as on managed
 * services; then, on the same server, the tests that need a superuser for inspection. Skips tests
 * that send PostgreSQL nothing that these don't: features, the broker, most acceptance tests, and
 * those of whole processes.
 */
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openClient } from "../packages/insulae/src/kernel/engine/connect.ts";
import { testMasterSecret } from "../packages/insulae/src/testing/test-secret.ts";
import { type PostgresqlServer, startPostgresql } from "./postgresql-servers.ts";

const versions = ["15.18.0-beta.17", "16.14.0-beta.17", "17.10.0-beta.17"];

const source = "packages/insulae/src";
const asAdministrator = [
  "../test/schemas.test.ts",
  "kernel/schema/feature-tables.test.ts",
  "kernel/schema/roles.test.ts",
  "kernel/data/tenant-logins.test.ts",
  "kernel/tenancy/data-places.test.ts",
  "kernel/tenancy/servers.test.ts",
].map((file) => join(source, file));
const asSuperuser = [
  "features/search",
  "kernel/schema/isolation-check.test.ts",
  "kernel/engine/isolation.test.ts",
  "kernel/engine/lanes.test.ts",
  "kernel/tenancy/migrate-all.test.ts",
  "kernel/schema/migrator.test.ts",
  "kernel/engine/pipelined-connection.test.ts",
  "kernel/data/statement.test.ts",
  "kernel/data/tenant-database.test.ts",
  "kernel/tenancy/many-schemas.test.ts",
  "kernel/tenancy/provisioning.test.ts",
].map((file) => join(source, file));
/** Each on its own database, with tenants in a pool, in schemas and in databases. */
const acceptance = ["platform", "host-routing", "master-tenant"];

const wanted = process.argv.slice(2);
const chosen = versions.filter(
  (version) => wanted.length === 0 || wanted.some((name) => version.startsWith(`${name}.`)),
);
if (chosen.length === 0) {
  console.error(`There are ${versions.join(", ")}.`);
  process.exit(2);
}

const failed: string[] = [];
for (const version of chosen) {
  const folder = mkdtempSync(join(tmpdir(), "insulae-postgresql-"));
  chmodSync(folder, 0o711); // a server started by root runs as another user
  try {
    const server = await startPostgresql(version, folder);
    try {
      await testOn(server);
    } finally {
      await server.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
if (failed.length > 0) {
  console.error(`\nFAILED:\n  ${failed.join("\n  ")}`);
  process.exitCode = 1;
}

async function testOn(server: PostgresqlServer): Promise<void> {
  const name = `${server.version}, ${server.compiles ? "with" : "without"} JIT`;
  console.log(`\n== ${name}`);
  const administrator = await makeAdministrator(server.url);
  const run = async (what: string, files: readonly string[], env: Environment, config?: string) => {
    console.log(`\n-- ${name}: ${what}`);
    const options = config === undefined ? [] : ["--config", config];
    if (!(await vitest([...options, ...files], env))) failed.push(`${name}: ${what}`);
  };
  for (const file of acceptance) {
    const url = await makeDatabase(administrator, `acceptance_${file.replace("-", "_")}`);
    // All installations of the server share its roles, like those of the other tests.
    const env = { DATABASE_URL: url, MASTER_SECRET: testMasterSecret };
    await run(file, [`acceptance/${file}.test.ts`], env, "acceptance/vitest.config.ts");
  }
  await run("as an administrator", asAdministrator, { INSULAE_TEST_DATABASE_URL: administrator });
  await run("as a superuser", asSuperuser, { INSULAE_TEST_DATABASE_URL: server.url });
}

type Environment = Readonly<Record<string, string>>;

function vitest(args: readonly string[], env: Environment): Promise<boolean> {
  const child = spawn("npx", ["--no-install", "vitest", "run", ...args], {
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code === 0));
  });
}

/** @returns the URL of a role that can create roles and databases, and nothing else */
async function makeAdministrator(superuserUrl: string): Promise<string> {
  const url = new URL(superuserUrl);
  url.username = "administrator";
  await onServer(
    superuserUrl,
    `create role administrator login createrole createdb password '${url.password}'`,
  );
  return url.href;
}

async function makeDatabase(administratorUrl: string, name: string): Promise<string> {
  await onServer(administratorUrl, `create database ${name}`);
  const url = new URL(administratorUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = await openClient({ connectionString: url });
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
