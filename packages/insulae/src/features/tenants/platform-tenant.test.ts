import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
let token: string;
beforeAll(async () => {
  people = await openTestPeople();
  const { account } = await people.admin();
  const body = { email: account.email, password: people.password };
  ({ token } = (await people.post("/api/v1/auth/login", { body })).body);
});
afterAll(() => people?.close());

const path = (id: string) => `/api/v1/platform/tenants/${id}`;
const show = (id: string, by = token) => people.get(path(id), { token: by });
const restore = (id: string, by = token) => people.post(`${path(id)}/restore`, { token: by });

describe.each(["pool", "schema", "database"] as const)("a tenant in a %s", (isolation) => {
  it("is shown with its placement, users and sessions", async () => {
    const tenant = await people.newTenant({ isolation });
    await people.newOwner(tenant);
    const { status, body } = await show(tenant.key);
    expect(status, JSON.stringify(body)).toBe(200);
    const { database, schema } = tenant.placement;
    expect(body).toMatchObject({
      ...{ id: tenant.id, status: "active", isolation, users: 1, sessions: 1, owner: null },
      placement: { server: "main", database, schema, version: expect.any(Number) },
      last_request_at: expect.any(String),
    });
  });

  it("is restored with its users until its rows are erased", async () => {
    const tenant = await people.newTenant({ isolation });
    const { account } = await people.newOwner(tenant);
    await people.app.tenants.delete(tenant.id);
    expect((await show(tenant.id)).body).toMatchObject({
      ...{ status: "deleted", users: 1, erase_at: expect.any(String) },
    });
    expect((await show(tenant.key)).status).toBe(404);
    const restored = await restore(tenant.id);
    expect(restored).toMatchObject({ status: 200, body: { status: "active", key: tenant.key } });
    expect(restored.body).not.toHaveProperty("erase_at");
    expect((await people.logIn(tenant, account.email)).token).toEqual(expect.any(String));
    expect((await restore(tenant.id)).body.code).toBe("tenant_not_restorable");
  });
});

it("a tenant isn't restored once its time is over, or its key is another's, or by others", async () => {
  const [late, taken] = [await people.newTenant(), await people.newTenant()];
  for (const { id } of [late, taken]) await people.app.tenants.delete(id);
  await people.onPlatform(({ control }) =>
    control
      .updateTable("control.tenants")
      .set({ erase_after: new Date() })
      .where("id", "=", late.id)
      .execute(),
  );
  expect((await restore(late.id)).body.code).toBe("tenant_not_restorable");
  await people.newTenant({ key: taken.key });
  expect((await restore(taken.id)).body.code).toBe("tenant_exists");
  expect((await restore("01900000-0000-7000-8000-000000000000")).body.code).toBe(
    "tenant_not_found",
  );
  const { token: other } = await people.newAccount();
  expect((await restore(taken.id, other)).body.code).toBe("permission_denied");
  expect((await show(taken.id, other)).body.code).toBe("permission_denied");
});
