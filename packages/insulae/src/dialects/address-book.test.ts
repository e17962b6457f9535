import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../app/app-api.ts";
import { createMember, unknownId } from "../testing/fixtures.ts";
import { createTestApp } from "../testing/index.ts";
import { type Call, caller } from "./dialect-fixture.ts";

let app: App;
let call: Call;
let token: string;
const person = {
  username: "demo",
  email: "demo@example.com",
  password: "MyS3cur3P@ssw0rd!",
};

beforeAll(async () => {
  app = await createTestApp();
  call = caller(app);
  await app.tenants.create({ key: "demo_tenant", name: "Demo", isolation: "database" });
  expect((await call("POST", "/api/auth/signup", { body: person })).status).toBe(201);
  const reply = await logIn("demo");
  token = reply.body.token;
});
afterAll(() => app?.close());

const logIn = (name: string, password = person.password) =>
  call("POST", "/api/auth/login", { body: { username_or_email: name, password } });

describe("signing up and logging in", () => {
  it("takes the username or the e-mail", async () => {
    for (const name of ["demo", "DEMO", "demo@example.com"]) {
      const { status, body } = await logIn(name);
      expect([status, typeof body.token]).toEqual([200, "string"]);
    }
  });

  it("makes the first who signs up where there is nobody the owner, and nobody else", async () => {
    const next = { ...person, username: "next", email: "next@example.com" };
    await call("POST", "/api/auth/signup", { body: next });
    const roles = await app.withTenant(
      "demo_tenant",
      ({ db }) => db.sql<{ role: string }>`select role from users order by id`,
    );
    expect(roles.map(({ role }) => role)).toEqual(["owner", "user"]);
  });

  it("answers a wrong password and an unknown user alike", async () => {
    const wrong = await logIn("demo", "wrong password");
    expect(wrong).toEqual(await logIn("nobody", "wrong password"));
    expect(wrong.body).toMatchObject({ status: 401, error: "Unauthorized" });
  });

  it("gives a browser a cookie that scripts can't read, and that counts", async () => {
    const { cookies } = await logIn("demo");
    expect(cookies[0]).toMatch(/^__Host-.*; HttpOnly/i);
    const [cookie = ""] = (cookies[0] ?? "").split(";");
    const reply = await call("GET", "/api/address-book", { headers: { cookie } });
    expect(reply.status).toBe(200);
  });

  it("refuses what is registered already with 400", async () => {
    for (const same of [{ username: "other" }, { email: "other@example.com" }]) {
      const { body } = await call("POST", "/api/auth/signup", { body: { ...person, ...same } });
      expect(body).toMatchObject({ status: 400, error: "Bad Request" });
    }
  });

  it("takes no tenant from the body, and refuses one that is not the host's", async () => {
    const { tenant } = await createMember(app);
    const { password } = person;
    const named = (tenant_id: unknown) =>
      call("POST", "/api/auth/login", { body: { username_or_email: "demo", password, tenant_id } });
    const own = await app.tenants.get("demo_tenant");
    for (const same of [own.key, own.id, own.number, null]) {
      expect((await named(same)).status).toBe(200);
    }
    const other = await named(tenant.key);
    expect([other.status, other.body.message]).toEqual([403, "Tenant access denied"]);
    expect(await named("nobody")).toEqual(other);
    const body = { username_or_email: "demo", password, tenant: tenant.key };
    const headers = { host: `${tenant.slug}.localhost` };
    expect((await call("POST", "/api/auth/login", { body, headers })).status).toBe(401);
    const byEmail = { email: person.email, password, tenant_id: tenant.key };
    expect((await call("POST", "/api/auth/login", { body: byEmail })).status).toBe(403);
    const stranger = { ...person, username: "x1", email: "x1@example.com", tenant_id: tenant.key };
    expect((await call("POST", "/api/auth/signup", { body: stranger })).status).toBe(403);
    expect((await logIn("x1")).status).toBe(401);
  });
});

describe("the address book", () => {
  const contact = { name: "John Doe", email: "john@example.com", phone: "+1234567890" };

  it("refuses a method that a path does not answer in its own shape", async () => {
    const { status, body } = await call("PUT", "/api/address-book", { token, body: contact });
    expect([status, body]).toEqual([
      405,
      { status: 405, error: "Method Not Allowed", message: expect.any(String) },
    ]);
  });

  it("keeps contacts: made, listed, read, changed, deleted", async () => {
    const made = await call("POST", "/api/address-book", { token, body: contact });
    expect([made.status, made.body]).toMatchObject([201, contact]);
    const path = `/api/address-book/${made.body.id}`;
    const list = await call("GET", "/api/address-book", { token });
    expect(list.body.contacts).toEqual([made.body]);
    expect((await call("GET", path, { token })).body).toEqual(made.body);
    const body = { ...contact, phone: null };
    expect((await call("PUT", path, { token, body })).body).toMatchObject(body);
    expect((await call("PATCH", path, { token, body: { name: "Jo" } })).body).toMatchObject({
      ...body,
      name: "Jo",
    });
    expect((await call("DELETE", path, { token })).body).toEqual({ message: "Contact deleted" });
    expect((await call("GET", path, { token })).body).toEqual({
      status: 404,
      error: "Not Found",
      message: "There is no such contact",
    });
  });

  it.each([
    ["no e-mail", { name: "A", phone: "1" }],
    ["an empty e-mail", { ...contact, email: "" }],
    ["an empty name", { ...contact, name: "" }],
    ["a wrong type", { ...contact, phone: 12 }],
  ])("stores nothing of a body with %s", async (_what, body) => {
    const reply = await call("POST", "/api/address-book", { token, body });
    expect(reply.body).toMatchObject({ status: 400, error: "Bad Request" });
    expect((await call("GET", "/api/address-book", { token })).body.contacts).toEqual([]);
  });

  it("is refused in the documented words", async () => {
    const list = (headers: Record<string, string>) => call("GET", "/api/address-book", { headers });
    expect((await list({})).body).toEqual({
      status: 401,
      error: "Unauthorized",
      message: "Missing authorization header",
    });
    expect((await list({ authorization: "Bearer invalid_token" })).body).toEqual({
      status: 401,
      error: "Unauthorized",
      message: "Invalid token",
    });
    const other = await createMember(app);
    const headers = { authorization: `Bearer ${other.token}`, host: "demo-tenant.localhost" };
    expect((await list(headers)).body).toEqual({
      status: 403,
      error: "Forbidden",
      message: "Tenant access denied",
    });
  });

  it("is DEFAULT_TENANT's at plain localhost: another's token is refused there, and audited", async () => {
    const other = await createMember(app);
    const reply = await call("GET", "/api/address-book", { token: other.token });
    expect([reply.status, reply.body.message]).toEqual([403, "Tenant access denied"]);
    const headers = { host: `${other.tenant.slug}.localhost` };
    const own = await call("GET", "/api/address-book", { token: other.token, headers });
    expect(own.body.contacts).toEqual([]);
    await expect
      .poll(() =>
        app.withTenant(
          other.tenant,
          ({ db }) => db.sql`select 1 from audit_log where action = 'auth.cross_tenant_refused'`,
        ),
      )
      .toHaveLength(1);
  });

  it("answers for another tenant's contact as for none", async () => {
    const other = await createMember(app);
    const { body } = await other.call("POST", "/contacts", { name: "Hers" });
    const foreign = await call("GET", `/api/address-book/${body.id}`, { token });
    expect(foreign).toEqual(await call("GET", `/api/address-book/${unknownId}`, { token }));
    expect(foreign.status).toBe(404);
  });
});

it("GET /api/logs is gone, and says where the stream is", async () => {
  const { status, body } = await call("GET", "/api/logs");
  expect(status).toBe(410);
  expect(body).toMatchObject({ status: 410, error: "Gone" });
  expect(body.websocket_url).toMatch(/^ws:\/\/localhost:\d+\/api\/ws\/logs$/);
});

it("GET /api/ping says pong", async () => {
  expect((await call("GET", "/api/ping")).body).toEqual({ message: "pong" });
});
