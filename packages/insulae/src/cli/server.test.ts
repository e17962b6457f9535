/** `insulae server`, without a separate process for each command. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { stockApplication } from "../app/application.ts";
import { createSecrets } from "../kernel/lib/secrets.ts";
import { createTestApp, type TestApp } from "../testing/test-app.ts";
import { testMasterSecret } from "../testing/test-secret.ts";
import { type SecondServer, startSecondServer } from "../testing/test-server.ts";
import type { CommandContext } from "./command.ts";
import { addServer, drainServer, listServers, removeServer, updateServer } from "./server.ts";

let app: TestApp;
let elsewhere: SecondServer;
let context: CommandContext;
beforeAll(async () => {
  app = await createTestApp({ config: { jobsConcurrency: 0 } });
  elsewhere = await startSecondServer();
  context = {
    application: async () => stockApplication,
    applicationFile: undefined,
    json: true,
    env: {
      APP_ENV: "test",
      DATABASE_URL: app.config.databaseUrl,
      MASTER_SECRET: testMasterSecret,
      LOG_LEVEL: "silent",
    },
    note: () => {},
  };
}, 60_000);
afterAll(async () => {
  await app?.close();
  await elsewhere?.stop();
});

it("a server is added, listed, changed, drained and removed, with audit entries", async () => {
  await expect(addServer(context, "eu", "mysql://x", { weight: 1 })).rejects.toMatchObject({
    code: "url_invalid",
  });
  await addServer(context, "eu", elsewhere.url, { weight: 2 });
  await expect(updateServer(context, "eu", {})).rejects.toMatchObject({
    code: "nothing_to_change",
  });
  await updateServer(context, "eu", { weight: 3, accepting: "no" });
  expect((await listServers(context)).text).toMatch(
    /^NAME +ADDRESS +WEIGHT +ACCEPTS TENANTS +ANSWERS +TENANTS\neu .* 3 +no +yes +0\nmain .* 1 +yes +yes +0$/,
  );

  const { id } = await app.tenants.create({ key: "acme", name: "Acme", server: "eu" });
  const drained = await drainServer(context, "eu");
  expect(drained.text).toContain("Left on it: 1 tenant");
  expect(drained.text).toMatch(new RegExp(`${id} +acme +active +pool`));
  await expect(removeServer(context, "eu")).rejects.toMatchObject({ code: "server_in_use" });

  await app.withPlatform("erase", async ({ control }) => {
    await control
      .updateTable("control.tenants")
      .set({ placement_id: null })
      .where("id", "=", id)
      .execute();
    // It is unreachable, but can still be removed.
    const secrets = createSecrets(testMasterSecret);
    await control
      .updateTable("control.servers")
      .set({ sealed_url: secrets.seal("server-url", "postgres://a:b@127.0.0.1:1/x") })
      .where("name", "=", "eu")
      .execute();
  });
  expect((await listServers(context)).text).toMatch(/\neu +127\.0\.0\.1:1 +3 +no +no +0\n/);
  expect((await removeServer(context, "eu")).text).toContain("Removed eu.");
  const actions = await app.withPlatform("look", ({ control }) =>
    control
      .selectFrom("control.audit_log")
      .select(["action", "actor_name"])
      .where("action", "like", "server.%")
      .orderBy("id")
      .execute(),
  );
  expect(actions.map(({ action }) => action)).toEqual([
    ...["server.added", "server.changed", "server.drained", "server.removed"],
  ]);
  for (const { actor_name } of actions) expect(actor_name).toMatch(/^cli: /);
}, 60_000);
