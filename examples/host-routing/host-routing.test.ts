import type { App } from "insulae";
import { createTestApp } from "insulae/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { admin } from "./admin.feature.ts";
import { settings } from "./settings.ts";
import { site } from "./site.feature.ts";

let app: App;
let token: string;

beforeAll(async () => {
  app = await createTestApp({ features: [site, admin], settings });
  const { email, password } = await app.ensureAdmin();
  const signedIn = await send("POST", "/api/v1/auth/login", { body: { email, password } });
  token = signedIn.body.access_token;
  for (const name of ["acme", "globex"]) {
    const made = await send("POST", "/admin/tenants", {
      token,
      body: {
        tenant_id: `tenant-${name}`,
        hosts: [`${name}.example.com`, `www.${name}.example.com`],
        settings: {
          registration: "open",
          ...(name === "globex" && { limits: { max_documents: 1 }, branding: { theme: "dark" } }),
        },
      },
    });
    expect([made.status, made.body]).toEqual([
      201,
      { message: "Tenant registered successfully", tenant_id: `tenant-${name}` },
    ]);
  }
});
afterAll(() => app?.close());

type Method = "GET" | "POST" | "DELETE";
interface Asked {
  readonly host?: string;
  readonly token?: string;
  readonly headers?: Record<string, string>;
  readonly body?: object;
}

async function send(method: Method, url: string, { host, token, headers, body }: Asked = {}) {
  const reply = await app.inject({
    method,
    url,
    headers: {
      ...(host && { host: `${host}.example.com` }),
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body && { payload: body }),
  });
  return {
    status: reply.statusCode,
    body: reply.body === "" ? undefined : reply.json(),
    cookie: String(reply.headers["set-cookie"]).split(";")[0] ?? "",
  };
}

/** Somebody who has registered at a host and logged in there, by a cookie. */
async function visitor(host: string, email: string) {
  const password = "a-Fine-passphrase-7";
  const registered = await send("POST", "/api/v1/auth/register", {
    host,
    body: { email, password },
  });
  const { cookie, body } = await send("POST", "/login", {
    host,
    body: { username: email, password },
  });
  expect(body.message).toBe("Login successful");
  const headers = { cookie, "x-csrf-token": body.csrf_token };
  return { id: registered.body.user.id, headers };
}

test("each host is its tenant's, and has what is set for it", async () => {
  for (const host of ["acme", "www.acme"]) {
    expect((await send("GET", "/api/data", { host })).body).toEqual({
      tenant: "tenant-acme",
      message: "Tenant-specific data",
    });
  }
  expect((await send("GET", "/api/tenant/info", { host: "globex" })).body).toEqual({
    tenant_id: "tenant-globex",
    hosts: ["globex.example.com", "www.globex.example.com"],
    config: {
      features: { documents: true },
      limits: { max_documents: 1 },
      branding: { theme: "dark" },
    },
  });
});

// Shows S3-033, S3-045
test("a host that is nobody's has no tenant: the middleware says so", async () => {
  const { status, body } = await send("GET", "/api/data", { host: "nobody" });
  expect([status, body]).toEqual([404, { error: "Tenant not found", code: "TENANT_NOT_FOUND" }]);
});

// Shows S3-025
test("who logs in has a session, documents and a profile there, and nowhere else", async () => {
  const ada = await visitor("acme", "ada@example.com");
  const { headers } = ada;
  const at = (host: string, method: Method, path: string, body?: object) =>
    send(method, path, { host, headers, ...(body && { body }) });
  expect((await at("acme", "GET", "/api/secure/data")).body).toMatchObject({ visits: 1 });
  expect((await at("acme", "GET", "/api/secure/data")).body).toEqual({
    tenant: "tenant-acme",
    user_id: ada.id,
    visits: 2,
  });
  const profile = { id: ada.id, email: "ada@example.com", role: "user" };
  expect((await at("acme", "GET", "/api/profile")).body).toEqual(profile);
  expect((await at("acme", "GET", "/api/users")).body).toEqual({
    tenant: "tenant-acme",
    users: [profile],
  });
  const made = await at("acme", "POST", "/api/documents", { title: "Ours" });
  expect([made.status, Object.keys(made.body)]).toEqual([201, ["id"]]);
  expect((await at("acme", "GET", "/api/documents")).body).toMatchObject([{ title: "Ours" }]);

  const refused = await at("globex", "GET", "/api/secure/data");
  expect([refused.status, refused.body.error]).toEqual([403, "Access denied"]);
  expect((await send("GET", "/api/secure/data", { host: "acme" })).status).toBe(401);
  const bob = await visitor("globex", "bob@example.com");
  const theirs = await send("GET", "/api/documents", { host: "globex", headers: bob.headers });
  expect(theirs.body).toEqual([]);
  const add = () =>
    send("POST", "/api/documents", { host: "globex", ...bob, body: { title: "One" } });
  expect((await add()).status).toBe(201);
  expect([(await add()).status, (await add()).body.error]).toEqual([
    429,
    "Document limit exceeded",
  ]);
});

test("administrators register, and nobody else does", async () => {
  const body = { tenant_id: "tenant-3", hosts: ["acme.example.com"] };
  expect((await send("POST", "/admin/tenants", { body })).status).toBe(401);
  const taken = await send("POST", "/admin/tenants", { token, body });
  expect([taken.status, taken.body.error]).toEqual([409, "Failed to register host"]);
  const twice = { tenant_id: "tenant-acme", hosts: ["new.example.com"] };
  const again = await send("POST", "/admin/tenants", { token, body: twice });
  expect([again.status, again.body.error]).toEqual([409, "Failed to register tenant"]);
  const wrong = await send("POST", "/admin/tenants", { token, body: { tenant_id: "x" } });
  expect([wrong.status, wrong.body.error]).toEqual([400, "Invalid request"]);
  const host = await send("GET", "/admin/hosts/new.example.com", { token });
  expect(host.body).toEqual({ registered: false });
});
