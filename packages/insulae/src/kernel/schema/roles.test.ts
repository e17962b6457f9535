import { randomBytes } from "node:crypto";
import type pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../testing/test-database.ts";
import { testMasterSecret } from "../../testing/test-secret.ts";
import { openClient } from "../engine/connect.ts";
import { createSecrets } from "../lib/secrets.ts";
import { prepareDatabase, prepareServer } from "./roles.ts";

const secrets = createSecrets(testMasterSecret);
let database: TestDatabase;
let administrator: pg.Client;

beforeEach(async () => {
  database = await createTestDatabase();
  administrator = await openClient({ connectionString: database.url });
});
afterEach(async () => {
  await administrator.end();
  await database.drop();
});

test("nodes that start concurrently all prepare the server, through any databases", async () => {
  const another = await createTestDatabase();
  const clients = await Promise.all(
    [database.url, another.url, database.url, another.url].map((connectionString) =>
      openClient({ connectionString }),
    ),
  );
  await Promise.all(
    clients.map(async (client) => {
      await prepareServer(client, secrets);
      await prepareDatabase(client, ["insulae_app"]);
    }),
  );
  await Promise.all(clients.map((client) => client.end()));
  await another.drop();
});

test("an administrator without the privilege, or without ownership of the database, gets an error", async () => {
  const name = `weak_${randomBytes(4).toString("hex")}`;
  await administrator.query(`create role ${name} login password 'weak'`);
  const config = parseIntoClientConfig(database.url);
  const weak = await openClient({ ...config, user: name, password: "weak" });
  await expect(prepareServer(weak, secrets)).rejects.toThrow("CREATEROLE and CREATEDB");
  await expect(prepareDatabase(weak, ["insulae_app"])).rejects.toThrow("must own the database");
  await weak.end();
  await administrator.query(`drop role ${name}`);
});
