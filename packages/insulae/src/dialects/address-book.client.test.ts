/** What a client of that system goes on with, after what its document shows. */
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../app/app-api.ts";
import { createMember } from "../testing/fixtures.ts";
import { createTestApp } from "../testing/index.ts";
import { type Call, caller } from "./dialect-fixture.ts";

let app: App;
let call: Call;
const password = "MyS3cur3P@ssw0rd!";
const tenant_id = "demo_tenant";
const headers = { "x-tenant-id": tenant_id };

const admin = { email: "root@example.com", password: "an-Unusual-passphrase-1" };

beforeAll(async () => {
  app = await createTestApp();
  call = caller(app);
  await app.tenants.create({ key: tenant_id, name: "Demo" });
  const person = { username: "demo", email: "demo@example.com", password, tenant_id };
  expect((await call("POST", "/api/auth/signup", { body: person })).status).toBe(201);
  await call("POST", "/auth/register", { body: { ...admin, is_owner: true } });
  await app.withPlatform("a test", ({ control }) =>
    control
      .updateTable("control.accounts")
      .set({ platform_admin: true })
      .where("email", "=", admin.email)
      .execute(),
  );
});
afterAll(() => app?.close());

const logIn = async (username_or_email = "demo", secret = password) => {
  const body = { username_or_email, password: secret };
  const reply = await call("POST", "/api/auth/login", { body });
  expect(reply.status).toBe(200);
  return reply.body;
};

const list = (token: string, query = "") =>
  call("GET", `/api/address-book${query}`, { token, headers });

describe("a log-in", () => {
  it("gives tokens, also in `data`, and names in the token that nothing trusts", async () => {
    const body = await logIn();
    const { token, refresh_token } = body;
    expect(body).toMatchObject({ access_token: token, token_type: "bearer" });
    expect(body.data).toMatchObject({ token, access_token: token, refresh_token });
    expect(refresh_token).toMatch(/^ir_/);
    const { id } = await app.tenants.get(tenant_id);
    expect(decodeJwt(token)).toMatchObject({ user: "demo", tenant_id, tid: id });
    const other = await createMember(app);
    const foreign = { "x-tenant-id": other.tenant.key };
    expect((await call("GET", "/api/address-book", { token, headers: foreign })).status).toBe(403);
    expect((await list(token)).status).toBe(200);
  });

  it("leaves the tokens of all other log-ins as they are", async () => {
    const body = { email: "demo@example.com", password };
    const reply = await call("POST", "/auth/login", { body });
    const claims = decodeJwt(reply.body.token);
    expect(claims.user).toBeUndefined();
    expect(claims.tenant_id).toBe((await app.tenants.get(tenant_id)).id);
  });
});

describe.each(["/api/auth/refresh", "/api/auth/refresh-token"])("POST %s", (path) => {
  it("takes the refresh token, once", async () => {
    const { refresh_token } = await logIn();
    const reply = await call("POST", path, { body: { refresh_token }, headers });
    expect(reply.status).toBe(200);
    expect(decodeJwt(reply.body.token)).toMatchObject({ user: "demo", tenant_id });
    expect((await list(reply.body.token)).status).toBe(200);
    await call("POST", path, { body: { refresh_token: reply.body.refresh_token }, headers });
    const again = await call("POST", path, { body: { refresh_token }, headers });
    expect([again.status, again.body.message]).toEqual([401, "Invalid token"]);
  });

  it("takes the access token where there is no body, in the same session", async () => {
    const { token, refresh_token } = await logIn();
    const reply = await call("POST", path, { token, headers });
    expect(reply.status).toBe(200);
    expect(decodeJwt(reply.body.token).sid).toBe(decodeJwt(token).sid);
    const next = { refresh_token: reply.body.refresh_token };
    expect((await call("POST", path, { body: next })).status).toBe(200);
    // The refresh token that it stands for was replaced: who shows it, copied one of them.
    expect((await call("POST", path, { body: { refresh_token } })).status).toBe(401);
    expect((await list(reply.body.token)).status).toBe(401);
  });

  it("takes no token that has ended, no cookie, and nobody who acts as somebody", async () => {
    expect((await call("POST", path, {})).status).toBe(401);
    const { token } = await logIn();
    expect((await call("POST", "/api/auth/logout", { token, headers })).status).toBe(200);
    expect((await call("POST", path, { token })).status).toBe(401);
    const browser = await call("POST", "/api/auth/login", {
      body: { username_or_email: "demo", password },
    });
    const [cookie = ""] = (browser.cookies[0] ?? "").split(";");
    const own = { headers: { cookie } };
    const { csrf_token } = (await call("GET", "/api/v1/auth/me", own)).body;
    const byCookie = { headers: { cookie, "x-csrf-token": csrf_token } };
    expect((await call("POST", path, byCookie)).status).toBe(401);
    const member = await createMember(app);
    const core = (await logIn(admin.email, admin.password)).token;
    const impersonation = await app.inject({
      method: "POST",
      url: "/api/v1/platform/impersonations",
      headers: { authorization: `Bearer ${core}`, "content-type": "application/json" },
      payload: {
        tenant: member.tenant.key,
        user_id: decodeJwt(member.token).sub,
        reason: "a test",
        minutes: 5,
      },
    });
    expect(impersonation.statusCode, impersonation.body).toBe(201);
    const acting = impersonation.json().access_token;
    expect((await call("POST", path, { token: acting })).status).toBe(401);
  });
});

it("a log-out ends the session and the browser's cookie", async () => {
  const body = { username_or_email: "demo", password };
  const reply = await call("POST", "/api/auth/login", { body });
  const [cookie = ""] = (reply.cookies[0] ?? "").split(";");
  const { token, refresh_token } = reply.body;
  const out = await call("POST", "/api/auth/logout", { token, headers: { ...headers, cookie } });
  expect([out.status, out.body]).toEqual([200, { message: "Logged out" }]);
  expect((await list(token)).status).toBe(401);
  const refreshed = await call("POST", "/api/auth/refresh", { body: { refresh_token } });
  expect(refreshed.status).toBe(401);
  expect((await call("GET", "/api/address-book", { headers: { cookie } })).status).toBe(401);
});

it("GET /api/auth/me says who is signed in", async () => {
  const { token } = await logIn();
  expect((await call("GET", "/api/auth/me", { token, headers })).body).toMatchObject({
    username: "demo",
    email: "demo@example.com",
    roles: ["owner"],
    tenant_id,
  });
  const { token: core } = await logIn(admin.email, admin.password);
  expect((await call("GET", "/api/auth/me", { token: core })).body).toMatchObject({
    username: admin.email,
    roles: ["platform_admin"],
    tenant_id: null,
  });
});

describe("contacts", () => {
  let token: string;
  beforeAll(async () => {
    token = (await logIn()).token;
    for (const [at, name] of ["Ada", "Bob", "Cleo", "Dan", "Eve"].entries()) {
      const contact = {
        name,
        email: `${name.toLowerCase()}@example.com`,
        phone: `+1-555-010${at}`,
        gender: at % 2 === 1,
        age: 20 + at,
        address: `${at} Main St, Springfield`,
      };
      const made = await call("POST", "/api/address-book", { token, headers, body: contact });
      expect(made.body).toMatchObject({ tenant_id, ...contact });
    }
  });

  const namesIn = async (query: string) => {
    const { status, body } = await list(token, query);
    expect(status, JSON.stringify(body)).toBe(200);
    return body.contacts.map(({ name }: { name: string }) => name).join(" ");
  };

  it.each([
    ["", "Eve Dan Cleo Bob Ada"],
    ["?page=2&limit=2", "Cleo Bob"],
    ["?page_num=1&page_size=2&sort_by=name&sort_order=asc", "Ada Bob"],
    ["?page_num=1&page_size=2&sort_by=age&sort_order=desc", "Eve Dan"],
    ["?sort=name,asc&limit=1", "Ada"],
    ["?cursor=0&limit=2", "Eve Dan"],
    ["?cursor=4&limit=2", "Ada"],
    ["?search=CLEO", "Cleo"],
    ["?search=", "Eve Dan Cleo Bob Ada"],
    ["/filter?name=b&page_num=1&page_size=10&sort_by=name&sort_order=asc", "Bob"],
    ["/filter?address=4%20main&email=EVE", "Eve"],
    ["/filter?gender=true&sort_by=age", "Bob Dan"],
    ["/filter?age=22", "Cleo"],
    ["/filter?phone=0104", "Eve"],
    [
      "/filter?filters[0][field]=name&filters[0][operator]=contains&filters[0][value]=a&filters[1][field]=age&filters[1][operator]=ne&filters[1][value]=20",
      "Dan",
    ],
  ])("are listed by %s", async (query, expected) => {
    expect(await namesIn(query)).toBe(expected);
  });

  it("say where a page stands, and go on by its cursor to the end", async () => {
    const { body } = await list(token, "?page=2&limit=2");
    const { contacts: _contacts, ...part } = body;
    expect(part).toEqual({
      total: 5,
      page: 2,
      limit: 2,
      total_pages: 3,
      has_next: true,
      has_prev: true,
      current_cursor: 2,
      next_cursor: 4,
    });
    expect((await list(token, "?cursor=4&limit=2")).body.next_cursor).toBeNull();
  });

  it.each([
    ["?limit=201"],
    ["?limit=0"],
    ["?page=1&cursor=0"],
    ["?limit=1&page_size=2"],
    ["?sort_by=search"],
    ["?sort=name;drop"],
    ["/filter?filters[0][field]=tenant_id&filters[0][value]=x"],
    ["/filter?filters[0][field]=name"],
    ["/filter?filters[0][operator]=eq"],
    ["/filter?filters[5][field]=name&filters[5][value]=x"],
  ])("are not listed by %s", async (query) => {
    expect((await list(token, query)).body).toMatchObject({ status: 400, error: "Bad Request" });
  });

  it("are changed and deleted with JSON for an answer", async () => {
    const { contacts } = (await list(token, "?search=Dan")).body;
    const path = `/api/address-book/${contacts[0].id}`;
    const body = { gender: null, age: null, address: "elsewhere" };
    const changed = await call("PUT", path, { token, headers, body });
    expect(changed.body).toMatchObject({ name: "Dan", ...body });
    for (const wrong of [{ age: -1 }, { age: 151 }, { age: 1.5 }, { gender: "x" }]) {
      expect((await call("PUT", path, { token, headers, body: wrong })).status).toBe(400);
    }
    const canonical = await call("GET", `/api/v1/contacts/${contacts[0].id}`, { token });
    expect(canonical.body).toMatchObject({ gender: null, address: "elsewhere" });
    const deleted = await call("DELETE", path, { token, headers });
    expect([deleted.status, deleted.body]).toEqual([200, { message: "Contact deleted" }]);
  });
});

describe.each(["/api/admin/tenants", "/api/tenants"])("tenants at %s", (path) => {
  it("are made, listed, found, renamed and deleted by administrators, and no URL is shown", async () => {
    const { token } = await logIn(admin.email, admin.password);
    const db_url = "postgres://user:sesame@db.internal/acme";
    const name = `Acme ${path.length}`;
    const made = await call("POST", path, { token, body: { name, db_url } });
    expect([made.status, made.body.name, made.body.id]).toEqual([201, name, `acme_${path.length}`]);
    const { id } = made.body;
    const seen = [
      made,
      await call("GET", `${path}?page=1&limit=50`, { token }),
      await call("GET", `${path}?offset=0&limit=50`, { token }),
      await call("GET", `${path}/filter?name=ACME&page_num=1&page_size=10`, { token }),
      await call(
        "GET",
        `${path}/filter?filters[0][field]=name&filters[0][operator]=contains&filters[0][value]=acme`,
        { token },
      ),
    ];
    for (const { body } of seen.slice(1)) {
      const { data } = Array.isArray(body.data) ? body : body.data;
      expect(data.map((tenant: { id: string }) => tenant.id)).toContain(id);
    }
    const renamed = await call("PUT", `${path}/${id}`, { token, body: { name: "New", db_url } });
    expect([renamed.status, renamed.body.name]).toEqual([200, "New"]);
    seen.push(renamed, await call("GET", `${path}/${id}`, { token }));
    const stats = await call("GET", "/api/admin/tenant/stats?limit=50", { token });
    const demo = (all: { tenant_id: string }[]) => all.find((one) => one.tenant_id === tenant_id);
    expect(demo(stats.body.tenant_stats)).toMatchObject({ logged_in_users: 1 });
    const health = await call("GET", "/api/admin/tenant/health?limit=50", { token });
    expect(demo(health.body.data)).toMatchObject({ status: true, error_message: null });
    for (const place of ["stats", "health", "status"]) {
      const reply = await call("GET", `/api/admin/tenant/${place}?limit=50`, { token });
      expect(reply.status).toBe(200);
      expect(JSON.stringify(reply.body)).toContain(id);
      seen.push(reply);
    }
    const deleted = await call("DELETE", `${path}/${id}`, { token });
    expect([deleted.status, deleted.body]).toEqual([200, { message: "Tenant deleted" }]);
    const audit = await call("GET", "/api/v1/platform/audit?limit=200", { token });
    expect(JSON.stringify(audit.body)).toContain("tenant.changed");
    for (const { body } of [...seen, audit]) {
      expect(JSON.stringify(body)).not.toMatch(/postgres(ql)?:|sesame|db_url|password/);
    }
  });

  it("are nobody else's business", async () => {
    const { token } = await logIn();
    const body = { name: "Mine" };
    for (const [method, url, sent] of [
      ["GET", path],
      ["GET", `${path}/filter`],
      ["GET", `${path}/demo_tenant`],
      ["POST", path, { body }],
      ["PUT", `${path}/demo_tenant`, { body }],
      ["DELETE", `${path}/demo_tenant`],
      ["GET", "/api/admin/tenant/stats"],
      ["GET", "/api/admin/tenant/health"],
      ["GET", "/api/admin/tenant/status"],
    ] as const) {
      expect((await call(method, url, { token, headers, ...sent })).status, url).toBe(403);
      expect((await call(method, url, sent)).status, url).toBe(401);
    }
  });
});

it("says how it is to anybody", async () => {
  for (const path of ["/api/health", "/api/health/detailed", "/api/health/performance"]) {
    const { status, body } = await call("GET", path);
    expect([status, body.status]).toEqual([200, "healthy"]);
  }
});
