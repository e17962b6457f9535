/** The commands that move tenants, without a separate process for each. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { stockApplication } from "../app/application.ts";
import { createTestApp } from "../testing/index.ts";
import type { TestApp } from "../testing/test-app.ts";
import { testMasterSecret } from "../testing/test-secret.ts";
import type { CommandContext } from "./command.ts";
import { abortMove, listMoves, moveTenant, revertMove } from "./move.ts";

let app: TestApp;
let context: CommandContext;
beforeAll(async () => {
  app = await createTestApp();
  await app.tenants.create({ key: "acme", name: "Acme" });
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
});
afterAll(() => app?.close());

it("a tenant is moved, listed and moved back", async () => {
  const wanted = { isolation: "schema", dryRun: false } as const;
  expect(await moveTenant(context, "acme", { ...wanted, dryRun: true })).toMatchObject({
    document: { source: { isolation: "pool" }, target: { isolation: "schema" }, rows: 0 },
  });
  expect(await listMoves(context, undefined, 10)).toMatchObject({ document: { items: [] } });

  const moved = await moveTenant(context, "acme", wanted);
  expect(moved).toMatchObject({ document: { state: "kept", target: { isolation: "schema" } } });
  expect(moved.text).toMatch(/^pause +\d+ ms$/m);
  expect((await app.tenants.get("acme")).placement.isolation).toBe("schema");
  await expect(abortMove(context, "acme")).rejects.toMatchObject({ code: "move_not_abortable" });

  expect(await revertMove(context, "acme")).toMatchObject({
    document: { state: "kept", kind: "revert" },
  });
  expect((await app.tenants.get("acme")).placement.isolation).toBe("pool");
  expect((await listMoves(context, "acme", 10)).text).toMatch(/revert +kept/);
  await expect(moveTenant(context, "acme", wanted)).rejects.toMatchObject({
    code: "move_under_way",
  });
}, 60_000);
