import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../app/app-api.ts";
import { addMember } from "../testing/fixtures.ts";
import { createTestApp } from "../testing/index.ts";
import { type Call, caller } from "./dialect-fixture.ts";

let app: App;
let call: Call;
const at = (name: string) => ({ host: `${name}.example.com` });

beforeAll(async () => {
  app = await createTestApp();
  call = caller(app);
  for (const name of ["tenant1", "tenant2"]) {
    const body = { tenant_id: name, hosts: [`${name}.example.com`, `www.${name}.example.com`] };
    const reply = await call("POST", "/admin/tenants", { body });
    expect([reply.status, reply.body]).toEqual([
      201,
      { message: "Tenant registered successfully", tenant_id: name },
    ]);
  }
});
afterAll(() => app?.close());

describe("POST /admin/tenants", () => {
  it("gives the tenant a schema of its own, and works at once", async () => {
    const { placement } = await app.tenants.get("tenant1");
    expect(placement.isolation).toBe("schema");
  });

  it.each([
    [409, "Failed to register host", { tenant_id: "other", hosts: ["tenant1.example.com"] }],
    [409, "Failed to register tenant", { tenant_id: "tenant1", hosts: ["new.example.com"] }],
    [400, "Invalid request", { tenant_id: "other" }],
    [400, "Invalid request", { tenant_id: "other", hosts: [] }],
  ])("is refused with %i %s", async (status, error, body) => {
    const reply = await call("POST", "/admin/tenants", { body });
    expect([reply.status, reply.body]).toEqual([status, { error }]);
  });
});

describe("the host says whose request it is", () => {
  it.each([["tenant1.example.com"], ["TENANT1.example.com:8080"], ["www.tenant1.example.com"]])(
    "%s is tenant1's",
    async (host) => {
      const reply = await call("GET", "/api/data", { headers: { host } });
      expect(reply.body).toEqual({ tenant: "tenant1", message: "Tenant-specific data" });
    },
  );

  it("in the reply of each of 30 requests at once", async () => {
    const names = Array.from({ length: 30 }, (_, i) => `tenant${(i % 2) + 1}`);
    const replies = await Promise.all(
      names.map((name) => call("GET", "/api/data", { headers: at(name) })),
    );
    expect(replies.map(({ body }) => body.tenant)).toEqual(names);
  });

  it("and where it says nothing, there is no tenant", async () => {
    const data = await call("GET", "/api/data");
    expect([data.status, data.body]).toEqual([400, { error: "Tenant not found" }]);
    const info = await call("GET", "/api/tenant/info");
    expect([info.status, info.body]).toEqual([404, { error: "Tenant not found" }]);
  });

  it("GET /api/tenant/info shows hosts and configuration", async () => {
    const tenant = await app.tenants.get("tenant2");
    await call("GET", "/api/tenant/info", { headers: at("tenant2") });
    const reply = await call("GET", "/api/tenant/info", { headers: at("tenant2") });
    expect(reply.body).toEqual({
      tenant_id: "tenant2",
      hosts: [...tenant.hosts],
      config: { features: {}, limits: {}, branding: {} },
    });
  });
});

describe("who has logged in", () => {
  const username = "carl@example.com";
  const password = "a-Fine-passphrase-7";
  let cookie: string;

  beforeAll(async () => {
    const headers = at("tenant1");
    await call("POST", "/api/v1/auth/register", { headers, body: { email: username, password } });
    const reply = await call("POST", "/login", { headers, body: { username, password } });
    expect([reply.status, reply.body]).toEqual([200, { message: "Login successful" }]);
    cookie = (reply.cookies[0] ?? "").split(";")[0] ?? "";
  });

  it("sees what is theirs, by cookie, at their tenant's host", async () => {
    const headers = { ...at("tenant1"), cookie };
    const profile = { tenant: "tenant1", email: username, role: "user" };
    expect((await call("GET", "/api/profile", { headers })).body).toMatchObject(profile);
    expect((await call("GET", "/api/profile", { headers })).body).toMatchObject(profile);
    expect((await call("GET", "/api/secure/data", { headers })).body).toMatchObject({
      tenant: "tenant1",
    });
    const users = await call("GET", "/api/users", { headers });
    expect(users.body).toMatchObject({ tenant: "tenant1", users: [{ email: username }] });
    const key = `user:profile:${users.body.users[0].id}`;
    const cached = await app.withTenant("tenant1", ({ cache }) => cache.get(key));
    expect(cached).toMatchObject({ email: username });
  });

  it("is not in the cache any more once they are deleted", async () => {
    const headers = at("tenant1");
    const body = { email: "gone@example.com", password };
    await call("POST", "/api/v1/auth/register", { headers, body });
    const reply = await call("POST", "/login", {
      headers,
      body: { username: body.email, password },
    });
    const [own = ""] = (reply.cookies[0] ?? "").split(";");
    const profile = await call("GET", "/api/profile", { headers: { ...headers, cookie: own } });
    expect(profile.body).toMatchObject({ email: body.email });
    const { id } = profile.body;
    await app.withTenant("tenant1", async ({ db, cache, forgetUser }) => {
      expect(await cache.get(`user:profile:${id}`)).toMatchObject({ email: body.email });
      await db.query("delete from users where id = $1", [id]);
      await forgetUser(id);
      expect(await cache.get(`user:profile:${id}`)).toBeUndefined();
    });
  });

  it("logs out, with the token that a cookie's changes need, and the cookie is over", async () => {
    const headers = at("tenant1");
    const signedIn = await call("POST", "/login", { headers, body: { username, password } });
    const [own = ""] = (signedIn.cookies[0] ?? "").split(";");
    const mine = { ...headers, cookie: own };
    expect((await call("POST", "/logout", { headers: mine })).status).toBe(403);
    const { csrf_token } = (await call("GET", "/api/v1/auth/me", { headers: mine })).body;
    const out = await call("POST", "/logout", { headers: { ...mine, "x-csrf-token": csrf_token } });
    expect([out.status, out.body]).toEqual([200, { message: "Logout successful" }]);
    expect(out.cookies[0]).toMatch(/Max-Age=0/i);
    expect((await call("GET", "/api/profile", { headers: mine })).status).toBe(401);
  });

  it("is refused at another's: by cookie, and by token", async () => {
    const byCookie = await call("GET", "/api/secure/data", {
      headers: { ...at("tenant2"), cookie },
    });
    expect([byCookie.status, byCookie.body]).toEqual([403, { error: "Access denied" }]);
    const { token } = await addMember(app, await app.tenants.get("tenant2"));
    const byToken = await call("GET", "/api/secure/data", { headers: at("tenant1"), token });
    expect([byToken.status, byToken.body]).toEqual([403, { error: "Access denied" }]);
    expect((await call("GET", "/api/secure/data", { headers: at("tenant1") })).status).toBe(401);
  });

  it("hears that their tenant is inactive, and strangers that there is none", async () => {
    const { token, tenant } = await addMember(app, await app.tenants.get("tenant2"));
    await app.tenants.suspend(tenant.id);
    const theirs = await call("GET", "/api/secure/data", { headers: at("tenant2"), token });
    expect([theirs.status, theirs.body]).toEqual([403, { error: "Tenant is inactive" }]);
    const strangers = await call("GET", "/api/tenant/info", { headers: at("tenant2") });
    expect([strangers.status, strangers.body]).toEqual([404, { error: "Tenant not found" }]);
    await app.tenants.resume(tenant.id);
  });

  it("is told of a limit's size and window", async () => {
    const hostname = "www.tenant2.example.com";
    await app.hosts.update(hostname, { rateLimit: { requestsPerSecond: 0.05, burst: 1 } });
    const headers = { host: hostname };
    expect((await call("GET", "/api/data", { headers })).status).toBe(200);
    const refused = await call("GET", "/api/data", { headers });
    expect([refused.status, refused.body]).toEqual([
      429,
      {
        error: "Rate limit exceeded",
        limit: 1,
        window: 20,
        policy: "host",
        setting: "rate_limit of the host",
      },
    ]);
    await app.hosts.update(hostname, {});
  });

  it("is not let in with a wrong password, or where there is no tenant", async () => {
    const body = { username, password: "wrong password" };
    const wrong = await call("POST", "/login", { headers: at("tenant1"), body });
    expect([wrong.status, Object.keys(wrong.body)]).toEqual([401, ["error"]]);
    expect((await call("POST", "/login", { body })).status).toBe(404);
  });
});

it("documents are the tenant's own", async () => {
  const one = await addMember(app, await app.tenants.get("tenant1"));
  const two = await addMember(app, await app.tenants.get("tenant2"));
  const body = { title: "A title", content: "Text" };
  const made = await call("POST", "/api/documents", { token: one.token, body });
  expect([made.status, Object.keys(made.body)]).toEqual([201, ["id"]]);
  expect((await one.call("GET", `/documents/${made.body.id}`)).body.title).toBe("A title");
  expect((await two.call("GET", `/documents/${made.body.id}`)).status).toBe(404);
});
