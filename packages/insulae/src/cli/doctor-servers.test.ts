import { afterAll, beforeAll, expect, test } from "vitest";
import { createSecrets } from "../kernel/secrets.ts";
import { createTestApp, type TestApp } from "../testing/test-app.ts";
import { createTestDatabase, type TestDatabase } from "../testing/test-database.ts";
import { testMasterSecret } from "../testing/test-secret.ts";
import { checkTenants } from "./doctor-tenants.ts";

let app: TestApp;
let elsewhere: TestDatabase;

beforeAll(async () => {
  app = await createTestApp();
  elsewhere = await createTestDatabase();
});
afterAll(async () => {
  await app?.close();
  await elsewhere?.drop();
});

test("a server that is down is one finding, with what to do about it, however many are placed on it", async () => {
  const { id } = await app.servers.add({ name: "eu", url: elsewhere.url });
  await app.tenants.create({ key: "one", name: "One", server: "eu" });
  await app.withPlatform("break", async ({ control }) => {
    const secrets = createSecrets(testMasterSecret);
    await control
      .updateTable("control.servers")
      .set({ sealed_url: secrets.seal("server-url", "postgres://a:b@127.0.0.1:1/x") })
      .where("id", "=", id)
      .execute();
    for (const database of ["t_1", "t_2", "t_3"]) {
      await control
        .insertInto("control.placements")
        .values({ server_id: id, database, schema: "data", isolation: "database" })
        .execute();
    }
  });
  const checks = await checkTenants(app.config, app.config.databaseUrl ?? "");
  expect(checks.filter(({ state }) => state !== "ok")).toEqual([
    {
      name: "server eu",
      state: "failure",
      message: expect.stringMatching(
        /can(not|'t) be reached.*ECONNREFUSED.* \(127\.0\.0\.1:1\)\. Its 1 tenant get/,
      ),
      remedy: expect.stringContaining("insulae server update eu --url"),
    },
  ]);
}, 60_000);
