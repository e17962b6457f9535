/**
 * The guide of a framework that identifies tenants by their hosts, as a program on the public API
 * (`examples/host-routing`), run in its own process and used from outside.
 */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  adminEmail,
  adminPassword,
  type StartedServer,
  startServer,
  temporaryFolder,
} from "./server.ts";

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  readonly body: any;
}

interface Asked {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let admin: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startServer({
    dataDir: folder.path,
    env: { RATE_LIMIT_CREDENTIALS: "0", LOG_LEVEL: "info" },
    example: "host-routing",
  });
  const account = { email: adminEmail, password: adminPassword };
  admin = (await call("localhost", "POST /api/v1/auth/login", { body: account })).body.access_token;
  for (const name of ["tenant1", "tenant2", "tenant3"]) {
    expect((await register(name)).status).toBe(201);
  }
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

/** Sends `GET /path` to the server under this host. */
async function call(host: string, line: string, { token, headers, body }: Asked = {}) {
  const [method = "", path = ""] = line.split(" ");
  const sent = request(server.url + path, {
    method,
    headers: {
      host,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && { "content-type": "application/json" }),
      ...headers,
    },
  });
  return new Promise<Reply>((resolve, reject) => {
    sent.once("error", reject);
    sent.once("response", async (response) => {
      const text = Buffer.concat(await response.toArray()).toString();
      const json = response.headers["content-type"]?.includes("json");
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: json ? JSON.parse(text) : text,
      });
    });
    sent.end(body && JSON.stringify(body));
  });
}

const hostOf = (tenant: string) => `${tenant}.example.com`;

const register = (tenant: string, more: object = {}) =>
  call("localhost", "POST /admin/tenants", {
    token: admin,
    body: { tenant_id: tenant, hosts: [hostOf(tenant)], ...more },
  });

const password = "a-Fine-passphrase-7";

/** A new user at a tenant's host: their token, and a log-in cookie. */
async function newUser(tenant: string) {
  const username = `${crypto.randomUUID()}@example.com`;
  const host = hostOf(tenant);
  const registered = await call(host, "POST /api/v1/auth/register", {
    body: { email: username, password },
  });
  const login = await call(host, "POST /login", { body: { username, password } });
  expect([login.status, login.body.message]).toEqual([200, "Login successful"]);
  const cookie = String(login.headers["set-cookie"]).split(";")[0] ?? "";
  return {
    id: registered.body.user.id as string,
    token: registered.body.access_token as string,
    session: { headers: { cookie, "x-csrf-token": login.body.csrf_token as string } },
  };
}

const secure = "GET /api/secure/data";

test("the host selects the tenant, with a port, in capitals, also if main() registered it", async () => {
  const message = "Tenant-specific data";
  for (const [host, tenant] of [
    ["acme.example.com", "tenant-acme"],
    ["globex.example.com:8080", "tenant-globex"],
    ["TENANT1.example.com", "tenant1"],
    ["tenant2.example.com:80", "tenant2"],
  ] as const) {
    expect((await call(host, "GET /api/data")).body).toEqual({ tenant, message });
  }
  const nobody = await call("nobody.example.com", "GET /api/data");
  expect([nobody.status, nobody.body]).toEqual([
    404,
    { error: "Tenant not found", code: "TENANT_NOT_FOUND" },
  ]);
});

test("the example's README works", async () => {
  const readme = await readFile("examples/host-routing/README.md", "utf8");
  const [, ...blocks] = [...readme.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, code]) => code);
  expect(blocks).toHaveLength(2);
  const output = execFileSync(
    "bash",
    ["-ec", blocks.join("\n").replaceAll("localhost:8000", new URL(server.url).host)],
    { encoding: "utf8" },
  );
  expect(output).toContain('{"tenant":"tenant-acme","message":"Tenant-specific data"}');
  expect(output).toContain('"tenant_id":"tenant-globex"');
  expect(output).toContain("set-cookie: __Host-insulae=");
  expect(output).toContain('"message":"Login successful"');
});

test("data written at one host is not visible at another", async () => {
  const [one, two] = [await newUser("tenant1"), await newUser("tenant2")];
  const body = { title: "Plans", content: "Ours" };
  const made = await call(hostOf("tenant1"), "POST /api/documents", { ...one.session, body });
  expect([made.status, made.body]).toEqual([201, { id: expect.any(String) }]);
  const mine = await call(hostOf("tenant1"), "GET /api/documents", one);
  expect(mine.body).toEqual([{ id: made.body.id, ...body }]);
  expect((await call(hostOf("tenant2"), "GET /api/documents", two)).body).toEqual([]);
  const profile = { id: one.id, role: "user" };
  expect((await call(hostOf("tenant1"), "GET /api/profile", one)).body).toMatchObject(profile);
});

test("a log-in at one host is not valid at another", async () => {
  const [one, two] = [await newUser("tenant1"), await newUser("tenant2")];
  const host = hostOf("tenant1");
  for (const [visits, asked] of [
    [1, one.session],
    [2, one.session],
    [1, { token: one.token }],
  ] as const) {
    expect((await call(host, secure, asked)).body).toEqual({
      tenant: "tenant1",
      user_id: one.id,
      visits,
    });
  }
  for (const asked of [two.session, { token: two.token }]) {
    const refused = await call(host, secure, asked);
    expect([refused.status, refused.body.error]).toEqual([403, "Access denied"]);
  }
  const line = server
    .output()
    .split("\n")
    .find((text) => text.includes("Cross-tenant access attempt"));
  expect(line).toContain(two.id);
  for (const field of ["user", "user_tenant", "request_tenant"])
    expect(line).toContain(` ${field}=`);

  const unknown = `${one.token.slice(0, -6)}AAAAAA`;
  for (const asked of [{}, { token: "malformed" }, { token: unknown }]) {
    expect((await call(host, secure, asked)).status).toBe(401);
  }
  const wrong = { username: "nobody@example.com", password: "not the password" };
  expect((await call(host, "POST /login", { body: wrong })).status).toBe(401);
  // Refused by role: a user can't add users.
  const body = { email: "new@example.com", password };
  expect((await call(host, "POST /api/v1/users", { token: one.token, body })).status).toBe(403);
});

test("one tenant's settings don't affect another", async () => {
  await register("plain");
  const own = {
    features: { documents: false },
    limits: { max_documents: 5 },
    branding: { theme: "dark" },
  };
  await register("special", { settings: own });
  const infoOf = async (tenant: string) =>
    (await call(hostOf(tenant), "GET /api/tenant/info")).body;
  expect(await infoOf("special")).toEqual({
    tenant_id: "special",
    hosts: ["special.example.com"],
    config: own,
  });
  expect((await infoOf("plain")).config).toEqual({
    features: { documents: true },
    limits: { max_documents: 1000 },
    branding: { theme: "light" },
  });
  const { token } = await newUser("special");
  const add = { token, body: { title: "A" } };
  const refused = await call(hostOf("special"), "POST /api/documents", add);
  expect([refused.status, refused.body.error]).toEqual([
    403,
    "Feature not available for your plan",
  ]);
  const wrong = await register("wrong", { settings: { limits: { max_documents: "many" } } });
  expect(wrong.status).toBe(409);
});

test("with a limit of three the fourth is refused, and another tenant has its own three", async () => {
  const settings = { rate_limit: { requestsPerSecond: 0.05, burst: 3 } };
  await register("limited1", settings);
  await register("limited2", settings);
  const ask = (tenant: string) => call(hostOf(tenant), "GET /api/data");
  for (const left of ["2", "1", "0"]) {
    const { status, headers } = await ask("limited1");
    expect([status, headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]]).toEqual([
      200,
      "3",
      left,
    ]);
  }
  const refused = await ask("limited1");
  expect([refused.status, refused.body]).toMatchObject([
    429,
    { error: "Rate limit exceeded", limit: 3, window: 60 },
  ]);
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  expect((await ask("limited2")).status).toBe(200);
});

test("each tenant's requests are counted", async () => {
  await register("counted1");
  await register("counted2");
  for (const tenant of ["counted1", "counted2", "counted1", "counted2", "counted1"]) {
    await call(hostOf(tenant), "GET /api/data");
  }
  const { body } = await call("localhost", "GET /metrics");
  expect(body).toContain('api_requests_total{tenant="counted1",endpoint="/api/data"} 3\n');
  expect(body).toContain('api_requests_total{tenant="counted2",endpoint="/api/data"} 2\n');
});

test("thirty concurrent requests of three tenants each get their own data", async () => {
  const tenants = Array.from({ length: 30 }, (_, i) => `tenant${(i % 3) + 1}`);
  const replies = await Promise.all(tenants.map((name) => call(hostOf(name), "GET /api/data")));
  expect(replies.map(({ body }) => body.tenant)).toEqual(tenants);
});

describe("hosts and tenants, at run time", () => {
  const hostAt = async (hostname: string) =>
    (await call("localhost", `GET /admin/hosts/${hostname}`, { token: admin })).body;

  test("are registered once, and can be removed", async () => {
    const hosts = ["one.shop.example", "two.shop.example"];
    const made = await register("shop", { hosts });
    expect([made.status, made.body]).toEqual([
      201,
      { message: "Tenant registered successfully", tenant_id: "shop" },
    ]);
    for (const host of hosts) {
      expect((await call(host, "GET /api/data")).body.tenant).toBe("shop");
      expect(await hostAt(host)).toEqual({ registered: true, tenant_id: "shop" });
    }
    const taken = await register("other", { hosts: ["one.shop.example"] });
    expect([taken.status, taken.body.error]).toEqual([409, "Failed to register host"]);
    const twice = await register("shop", { hosts: ["three.shop.example"] });
    expect([twice.status, twice.body.error]).toEqual([409, "Failed to register tenant"]);
    const without = await register("other", { hosts: [] });
    expect([without.status, without.body.error]).toEqual([400, "Invalid request"]);
    expect((await register("other", { hosts: [""] })).status).toBe(400);
    expect((await register("")).status).toBe(400);

    const remove = (path: string) => call("localhost", `DELETE ${path}`, { token: admin });
    expect((await remove("/admin/hosts/two.shop.example")).status).toBe(204);
    expect((await remove("/admin/hosts/two.shop.example")).status).toBe(404);
    expect((await call("two.shop.example", "GET /api/data")).status).toBe(404);
    expect((await remove("/admin/tenants/shop")).status).toBe(204);
    expect((await call("one.shop.example", "GET /api/data")).status).toBe(404);
    // The host is still registered, and goes to the next tenant.
    expect(await hostAt("one.shop.example")).toEqual({ registered: true });
    expect((await register("other", { hosts: ["one.shop.example"] })).status).toBe(201);
    const { token } = await newUser("tenant1");
    expect((await call("localhost", "POST /admin/tenants", { token, body: {} })).status).toBe(403);
  });

  test("twenty concurrently: all that differ succeed, and one of those with the same host", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `many-${i}`);
    const statuses = async (replies: readonly Promise<Reply>[]) =>
      (await Promise.all(replies)).map(({ status }) => status).toSorted();
    expect(await statuses(names.map((name) => register(name)))).toEqual(names.map(() => 201));
    const same = names.map((name) => register(`same-${name}`, { hosts: ["same.example"] }));
    expect(await statuses(same)).toEqual([201, ...names.slice(1).map(() => 409)]);
    const { tenant } = (await call("same.example", "GET /api/data")).body;
    expect(tenant).toMatch(/^same-many-\d+$/);
  });
});
