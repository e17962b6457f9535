import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../app/app-api.ts";
import { addMember, unknownId } from "../testing/fixtures.ts";
import { createTestApp } from "../testing/index.ts";
import { type Call, caller } from "./dialect-fixture.ts";

let app: App;
let call: Call;
beforeAll(async () => {
  app = await createTestApp();
  call = caller(app);
});
afterAll(() => app?.close());

const john = {
  email: "john@example.com",
  password: "SecurePassword123!",
  first_name: "John",
  last_name: "Doe",
};
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/);
const profile = {
  id: uuid,
  email: "john@example.com",
  first_name: "John",
  last_name: "Doe",
  created_at: time,
  updated_at: time,
};

describe("the documented requests, in their order", () => {
  let token: string;
  let id: string;

  it("registration says what to do while there is no demo_tenant", async () => {
    const reply = await call("POST", "/auth/register", { body: john });
    expect(reply.status).toBe(404);
    expect(reply.body).toMatchObject({ error: "Not Found", status_code: 404 });
    expect(reply.body.message).toContain("demo_tenant");
  });

  it("POST /tenants makes a tenant with a database of that name", async () => {
    const body = { id: "acme_corp", name: "ACME Corporation" };
    const reply = await call("POST", "/tenants", { body });
    expect([reply.status, reply.body]).toEqual([
      201,
      { ...body, status: "active", created_at: time, updated_at: time },
    ]);
    const rows = await app.withTenant(
      "acme_corp",
      ({ db }) => db.sql<{ name: string }>`select current_database() as name`,
    );
    expect(rows).toEqual([{ name: "tenant_acme_corp" }]);
    expect((await call("POST", "/tenants", { body })).body).toEqual({
      error: "Conflict",
      message: "Another tenant has this key. Choose another.",
      status_code: 409,
    });
  });

  it("POST /auth/register makes a user of demo_tenant, and answers without a token", async () => {
    await call("POST", "/tenants", { body: { id: "demo_tenant", name: "Demo" } });
    const reply = await call("POST", "/auth/register", { body: john });
    expect([reply.status, reply.body]).toEqual([201, profile]);
    id = reply.body.id;
  });

  it("POST /auth/login gives a token that names user, tenant and permissions", async () => {
    const { email, password } = john;
    const reply = await call("POST", "/auth/login", { body: { email, password } });
    expect(reply.status).toBe(200);
    expect(reply.body.user).toMatchObject(profile);
    token = reply.body.token;
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    const { id: tenantId } = await app.tenants.get("demo_tenant");
    expect(claims).toMatchObject({ user_id: id, tenant_id: tenantId });
    expect(claims.permissions).toContain("users:read");
  });

  it("GET /api/users lists a page", async () => {
    const reply = await call("GET", "/api/users?page=1&page_size=25", { token });
    expect([reply.status, reply.body]).toEqual([
      200,
      {
        tenant: "demo_tenant",
        users: [{ ...profile, tenant_id: "demo_tenant" }],
        total_count: 1,
        page: 1,
        page_size: 25,
      },
    ]);
    const second = await call("GET", "/api/users?page=2&page_size=25", { token });
    expect(second.body).toMatchObject({ users: [], total_count: 1, page: 2 });
  });

  it("refuses a method that a path does not answer in its own shape", async () => {
    const { status, body } = await call("DELETE", "/api/users/count", { token });
    const known = await call("GET", "/api/users/count?page=x", { token });
    expect([status, Object.keys(body)]).toEqual([405, Object.keys(known.body)]);
  });

  it("GET /api/users/count finds a part of an e-mail", async () => {
    expect((await call("GET", "/api/users/count?email=john", { token })).body).toEqual({
      count: 1,
    });
    expect((await call("GET", "/api/users/count?email=j%25n", { token })).body).toEqual({
      count: 0,
    });
    expect((await call("GET", "/api/users/count", { token })).body).toEqual({ count: 1 });
  });

  it("users are made, changed and deleted on the collection's path", async () => {
    const jane = { email: "jane@example.com", first_name: "Jane", last_name: "Smith" };
    const made = await call("POST", "/api/users", { token, body: jane });
    expect([made.status, made.body]).toEqual([
      201,
      { ...jane, id: uuid, tenant_id: "demo_tenant", created_at: time, updated_at: time },
    ]);
    const body = { id: made.body.id, first_name: "Jane Updated" };
    const changed = await call("PATCH", "/api/users", { token, body });
    expect([changed.status, changed.body]).toMatchObject([200, { ...jane, ...body }]);
    const path = `/api/users?id=${made.body.id}`;
    expect((await call("DELETE", path, { token })).status).toBe(204);
    const again = await call("DELETE", path, { token });
    const unknown = await call("DELETE", `/api/users?id=${unknownId}`, { token });
    expect(again).toEqual(unknown);
    expect(again.body).toEqual({
      error: "Not Found",
      message: "There is no such user",
      status_code: 404,
    });
  });

  it("what changed something is in the audit log, once", async () => {
    const entries = await app.withTenant(
      "demo_tenant",
      ({ db }) => db.sql<{ action: string }>`select action from audit_log`,
    );
    const counted = Map.groupBy(entries, ({ action }) => action);
    for (const action of ["registered", "logged_in"])
      expect(counted.get(`auth.${action}`)).toHaveLength(1);
    for (const action of ["created", "changed", "deleted"])
      expect(counted.get(`user.${action}`)).toHaveLength(1);
  });

  it("errors have the documented shape", async () => {
    const unauthorized = { error: "Unauthorized", status_code: 401 };
    const bad = await call("GET", "/api/users", { token: "not-a-token" });
    expect(bad.body).toEqual({ ...unauthorized, message: "Invalid or expired token" });
    expect((await call("GET", "/api/users")).body).toMatchObject(unauthorized);
    const wrong = { email: john.email, password: "wrong password" };
    expect((await call("POST", "/auth/login", { body: wrong })).body).toMatchObject(unauthorized);
    const invalid = await call("POST", "/api/users", { token, body: { email: 1 } });
    expect(invalid.body).toMatchObject({ error: "Bad Request", status_code: 400 });
    const broken = await app.inject({
      method: "POST",
      url: "/tenants",
      headers: { "content-type": "application/json" },
      payload: "{",
    });
    expect(broken.json()).toMatchObject({ error: "Bad Request", status_code: 400 });
  });
});

describe("a tenant", () => {
  it("is owned by the first who registers where it has nobody, and by nobody else", async () => {
    const { token } = await addMember(app, await app.tenants.get("demo_tenant"));
    const refused = await call("POST", "/api/users", { token, body: { email: "x@example.com" } });
    expect(refused.body).toMatchObject({ error: "Forbidden", status_code: 403 });
  });

  it("never shows another's users", async () => {
    const acme = await addMember(app, await app.tenants.get("acme_corp"), "owner");
    const { token } = acme;
    const { body } = await call("GET", "/api/users", { token });
    expect(body.users.every((user: { tenant_id: string }) => user.tenant_id === "acme_corp")).toBe(
      true,
    );
    expect(body.users.some((user: { email: string }) => user.email === john.email)).toBe(false);
    const headers = { "x-tenant": "demo_tenant" };
    const foreign = await call("GET", "/api/users", { token, headers });
    expect([foreign.status, foreign.body.message]).toEqual([403, "Tenant access denied"]);
  });

  it("may have a key too long, or too strange, for a database's name", async () => {
    for (const id of [`a${"b".repeat(62)}`, "with-dash"]) {
      const reply = await call("POST", "/tenants", { body: { id, name: id } });
      expect([reply.status, reply.body.id]).toEqual([201, id]);
    }
  });

  it("made again after it was deleted is another one, in another database", async () => {
    const body = { id: "phoenix", name: "Phoenix" };
    await call("POST", "/tenants", { body });
    const before = await app.tenants.get("phoenix");
    await app.tenants.delete(before.id);
    expect((await call("POST", "/tenants", { body })).status).toBe(201);
    const now = await app.tenants.get("phoenix");
    expect(now.placement.database).not.toBe(before.placement.database);
  });
});
