import { afterAll, beforeAll, expect, test } from "vitest";
import { stockApplication } from "../app/application.ts";
import { createSecrets } from "../kernel/lib/secrets.ts";
import { createTestApp, type TestApp } from "../testing/test-app.ts";
import { testMasterSecret } from "../testing/test-secret.ts";
import { type SecondServer, startSecondServer } from "../testing/test-server.ts";
import { checkTenants } from "./doctor-tenants.ts";

let app: TestApp;
let elsewhere: SecondServer;

beforeAll(async () => {
  app = await createTestApp();
  elsewhere = await startSecondServer();
});
afterAll(async () => {
  await app?.close();
  await elsewhere?.stop();
});

test("an unreachable server is one finding with a remedy, however many tenants are placed on it", async () => {
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
  const checks = await checkTenants(app.config, stockApplication, app.config.databaseUrl ?? "");
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

test("a server that is listed twice is reported, and its rows are not called leftovers", async () => {
  const tenant = await app.tenants.create({
    ...{ key: "live", name: "Live", server: "main", isolation: "schema" },
  });
  await app.withPlatform("break", async ({ control }) => {
    const secrets = createSecrets(testMasterSecret);
    await control
      .updateTable("control.servers")
      .set({ sealed_url: secrets.seal("server-url", app.config.databaseUrl ?? "") })
      .where("name", "=", "eu")
      .execute();
    await control.deleteFrom("control.placements").where("database", "like", "t_%").execute();
  });
  const checks = await checkTenants(app.config, stockApplication, app.config.databaseUrl ?? "");
  expect(checks.filter(({ state }) => state !== "ok")).toEqual([
    {
      name: "servers",
      state: "failure",
      message: expect.stringContaining("eu and main are the same database"),
      remedy: expect.stringContaining("don't drop or delete anything"),
    },
  ]);
  expect(JSON.stringify(checks)).not.toContain(tenant.placement.schema);
}, 60_000);
