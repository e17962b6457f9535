/**
 * Two installations on one PostgreSQL server, whose roles and passwords belong to the whole server.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Embedded } from "../../embedded-postgres/supervisor.ts";
import setUpTests from "../../testing/global-setup.ts";
import { withDatabase } from "../../testing/test-database.ts";
import { testFeature } from "../../testing/test-installation.ts";
import { testMasterSecret } from "../../testing/test-secret.ts";
import { startTestServer, testServerVariable } from "../../testing/test-server.ts";
import { connectDirectly, openClient } from "../engine/connect.ts";
import { createSecrets, type Secrets } from "../lib/secrets.ts";
import { loadMigrations, type Migrations } from "../schema/migration-files.ts";
import { connectionConfig } from "./connection-config.ts";
import { bootMainServer, prepareDataServer } from "./prepare.ts";

let folder: string;
let server: Embedded;
let migrations: Migrations;
const ours = createSecrets(testMasterSecret);
const theirs = createSecrets(testMasterSecret.split("").reverse().join(""));
const taken = { code: "roles_taken" };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "insulae-two-"));
  server = await startTestServer(folder);
  const notes = "create table notes (id uuid primary key); select app.tenant_table('notes');";
  migrations = await loadMigrations([await testFeature("notes", [notes])]);
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

const install = (database: string, secrets: Secrets) =>
  bootMainServer({ url: withDatabase(server.url, database), secrets, migrations });

async function administer(...statements: readonly string[]): Promise<void> {
  const client = await openClient({ connectionString: server.url });
  for (const statement of statements) await client.query(statement);
  await client.end();
}

/** Whether the installation of the database can open connections. */
const works = async (database: string, secrets: Secrets): Promise<boolean> => {
  const settings = { statementTimeoutMs: 0, idleInTransactionTimeoutMs: 0, lockTimeoutMs: 0 };
  const connect = connectDirectly(({ role }) =>
    connectionConfig({
      ...{ url: server.url, database, role, mainDatabase: database, secrets, settings },
    }),
  );
  const attempts = (["app", "control"] as const).map(async (role) =>
    (await connect({ serverId: "main", database, role })).release(),
  );
  return (await Promise.allSettled(attempts)).every(({ status }) => status === "fulfilled");
};

const unmark = "comment on role insulae_app is null";

test("of two that start concurrently on a new server one gets it, and the other is refused", async () => {
  const starts = { first: ours, second: theirs };
  const results = await Promise.allSettled(
    Object.entries(starts).map(([name, secrets]) => install(name, secrets)),
  );
  expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  const [winner, loser] = results[0]?.status === "fulfilled" ? [0, 1] : [1, 0];
  expect(results[loser]).toMatchObject({ reason: taken });
  const [name, secrets] = Object.entries(starts)[winner] ?? ["", ours];
  expect(await works(name, secrets)).toBe(true);
  await administer(`drop database ${name} with (force)`);
});

test("the roles of an installation whose database is gone go to the next one", async () => {
  await install("lasting", ours);
  expect(await works("lasting", ours)).toBe(true);
});

test.each([
  ["in another database", () => install("second", theirs)],
  ["in the same database", () => install("lasting", theirs)],
  [
    "on the server as one that is added",
    () => {
      const url = withDatabase(server.url, "third");
      return prepareDataServer({ url, database: "third", secrets: theirs, migrations });
    },
  ],
])("one with another secret is refused %s, and changes nothing", async (_, start) => {
  await expect(start()).rejects.toMatchObject({
    ...taken,
    message: expect.stringMatching(/lasting[\s\S]*MASTER_SECRET[\s\S]*nothing was changed/),
  });
  expect(await works("lasting", ours)).toBe(true);
});

test("one with the same secret shares the roles", async () => {
  await install("sharing", ours);
  expect([await works("lasting", ours), await works("sharing", ours)]).toEqual([true, true]);
  await administer("drop database sharing with (force)");
});

test("roles from an earlier version belong to whoever has their password", async () => {
  await administer(unmark);
  await expect(install("second", theirs)).rejects.toMatchObject(taken);
  await expect(install("lasting", theirs)).rejects.toMatchObject(taken);
  expect(await works("lasting", ours)).toBe(true);
  await install("lasting", ours);
  // It has its mark now.
  await administer("alter role insulae_app password null");
  await expect(install("lasting", theirs)).rejects.toMatchObject(taken);
  await install("lasting", ours);
  expect(await works("lasting", ours)).toBe(true);
});

test("if the server requires no password, they belong to the only database they can connect to", async () => {
  const files = await readdir(folder, { recursive: true });
  const file = join(folder, files.find((name) => name.endsWith("pg_hba.conf")) ?? "");
  const before = await readFile(file, "utf8");
  await writeFile(file, `local all all trust\nhost all all all trust\n${before}`);
  await administer("select pg_reload_conf()", unmark);
  try {
    await expect.poll(() => works("lasting", theirs)).toBe(true);
    await expect(install("second", theirs)).rejects.toMatchObject(taken);
    await install("lasting", ours);
  } finally {
    await writeFile(file, before);
    await administer("select pg_reload_conf()");
  }
  await expect.poll(() => works("lasting", theirs)).toBe(false);
  expect(await works("lasting", ours)).toBe(true);
});

test("an administrator can give the roles to another installation", async () => {
  await administer("comment on role insulae_app is 'unclaimed'");
  await install("second", theirs);
  expect(await works("second", theirs)).toBe(true);
  await expect(install("lasting", ours)).rejects.toMatchObject(taken);
});

test("the test suite does not run on a server with an installation", async () => {
  const { [testServerVariable]: before } = process.env;
  process.env[testServerVariable] = server.url;
  try {
    await expect(setUpTests()).rejects.toThrow(/tests do not run on the server.*second/);
  } finally {
    if (before === undefined) delete process.env[testServerVariable];
    else process.env[testServerVariable] = before;
  }
  expect(await works("second", theirs)).toBe(true);
});
