import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestApp, type TestApp } from "../../testing/test-app.ts";
import type { TestAccount } from "../../testing/test-tenants.ts";
import { until } from "../../testing/until.ts";

let app: TestApp;
let admin: TestAccount;
beforeAll(async () => {
  app = await createTestApp();
  admin = await app.createAdmin();
});
afterAll(() => app?.close());

const stateOf = (id: string, ...states: string[]) =>
  until(`the move is ${states.join(" or ")}`, async () => {
    const { body } = await admin.get(`/platform/moves/${id}`);
    return states.includes(body.state) ? body : undefined;
  });

describe("a platform administrator", () => {
  test("moves a tenant, watches it, and moves it back", async () => {
    const acme = await app.createTenant(undefined, { isolation: "pool" });
    const ada = await acme.createUser({ role: "manager" });
    await ada.post("/contacts", { name: "Before" });
    const started = await admin.post("/platform/moves", {
      tenant: acme.key,
      isolation: "database",
      keep_hours: 1,
    });
    expect(started.status).toBe(202);
    const moved = await stateOf(started.body.id, "kept", "aborted");
    expect(moved).toMatchObject({
      state: "kept",
      tenant_id: acme.id,
      source: { server: "main", isolation: "pool" },
      target: { server: "main", isolation: "database" },
      error: null,
    });
    expect(moved.report.compared_at_cut_over).toBeGreaterThan(0);
    await ada.post("/contacts", { name: "After" });
    expect((await admin.get(`/platform/tenants/${acme.id}`)).body.isolation).toBe("database");

    const again = await admin.post("/platform/moves", { tenant: acme.key, isolation: "schema" });
    expect(again).toMatchObject({ status: 409, body: { code: "move_under_way" } });

    const reverted = await admin.post(`/platform/moves/${moved.id}/revert`);
    expect(reverted.status).toBe(202);
    expect(await stateOf(reverted.body.id, "kept", "aborted")).toMatchObject({
      state: "kept",
      kind: "revert",
    });
    const { body } = await ada.get("/contacts");
    expect(body.items.map(({ name }: { name: string }) => name).sort()).toEqual([
      "After",
      "Before",
    ]);
    const list = await admin.get(`/platform/moves?tenant=${acme.key}&limit=1`);
    expect(list.body.items).toHaveLength(1);
    expect(list.body.next_cursor).not.toBeNull();

    const released = await admin.post(`/platform/moves/${reverted.body.id}/release`);
    expect(released.status).toBe(202);
    await stateOf(reverted.body.id, "done");
    const audit = await admin.get("/platform/audit?limit=50");
    const actions = audit.body.items?.map(({ action }: { action: string }) => action) ?? [];
    expect(actions).toEqual(
      expect.arrayContaining([
        "tenant.move_started",
        "tenant.moved",
        "tenant.move_reverted",
        "tenant.move_released",
      ]),
    );
  });

  test("is refused a move that leads nowhere, or of nobody", async () => {
    const acme = await app.createTenant();
    expect(
      await admin.post("/platform/moves", { tenant: acme.key, isolation: "pool" }),
    ).toMatchObject({ status: 409, body: { code: "tenant_placed_there" } });
    expect(
      await admin.post("/platform/moves", { tenant: "nobody", isolation: "schema" }),
    ).toMatchObject({ status: 404, body: { code: "tenant_not_found" } });
    expect(
      await admin.post("/platform/moves", { tenant: acme.key, isolation: "pool", server: "none" }),
    ).toMatchObject({ status: 404, body: { code: "server_not_found" } });
    const unknown = "01900000-0000-7000-8000-000000000000";
    expect(await admin.get(`/platform/moves/${unknown}`)).toMatchObject({ status: 404 });
    expect(await admin.post(`/platform/moves/${unknown}/abort`)).toMatchObject({ status: 404 });
  });

  test("can't delete a tenant until its move has cut over", async () => {
    const acme = await app.createTenant();
    await app.withPlatform("a move that somebody else works on", ({ control }) =>
      control
        .insertInto("control.moves")
        .values({
          tenant_id: acme.id,
          kind: "move",
          state: "copying",
          holder: null,
          error: null,
          from_placement: acme.placement.id,
          to_placement: null,
          source: "{}",
          target: "{}",
          keep_seconds: 0,
          lease_until: new Date(Date.now() + 3_600_000),
        } as never) // the lease is never inserted but here
        .execute(),
    );
    expect(await admin.delete(`/tenants/${acme.id}`)).toMatchObject({
      status: 409,
      body: { code: "move_under_way" },
    });
    expect((await admin.post(`/tenants/${acme.id}/suspend`)).status).toBe(200);
  });

  test("deletes a moved tenant, and both places are erased", async () => {
    const acme = await app.createTenant();
    const { body } = await admin.post("/platform/moves", { tenant: acme.key, isolation: "schema" });
    await stateOf(body.id, "kept");
    await app.tenants.delete(acme.id);
    await stateOf(body.id, "done");
  });
});

test("nobody else sees moves or makes them", async () => {
  const acme = await app.createTenant();
  const ada = await acme.createUser({ role: "owner" });
  expect((await ada.get("/platform/moves")).status).toBe(403);
  const started = await ada.post("/platform/moves", { tenant: acme.key, isolation: "schema" });
  expect(started.status).toBe(403);
});
