/**
 * An address book's own client against a running server: its calls from sign-in to log-out, first
 * alone, then as a page of another origin in a real browser.
 */
import type { Server } from "node:http";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserPath, fetchFrom, launchBrowser, portOf, servePage } from "./chromium.ts";
import { type Client, clientOf } from "./client.ts";
import {
  adminEmail,
  adminPassword,
  type StartedServer,
  startServer,
  temporaryFolder,
} from "./server.ts";
import { claimsOf } from "./verbatim.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let page: Server;
let stranger: Server;
let server: StartedServer;
let client: Client;
const password = "MyS3cur3P@ssw0rd!";
const tenant_id = "demo_tenant";

beforeAll(async () => {
  folder = await temporaryFolder();
  page = await servePage();
  stranger = await servePage();
  server = await startServer({
    dataDir: folder.path,
    env: {
      RATE_LIMIT_CREDENTIALS: "0",
      CORS_ORIGINS: `http://localhost:${portOf(page)}`,
      CORS_CREDENTIALS: "true",
    },
  });
  client = clientOf(server.url);
  await client("POST", "/tenants", { body: { id: tenant_id, name: "Demo" } });
  const person = { username: "ada", email: "ada@tenant1.com", password, tenant_id };
  expect((await client("POST", "/api/auth/signup", { body: person })).status).toBe(201);
});

afterAll(async () => {
  page?.close();
  stranger?.close();
  await server?.stop();
  await folder?.remove();
});

type Send = (
  method: string,
  path: string,
  body?: object,
  headers?: Readonly<Record<string, string>>,
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the test is about
) => Promise<{ readonly status?: number; readonly body?: any }>;

/**
 * The client: it sends and accepts only JSON, and treats everything outside `data` as the response
 * itself. After sign-in it sends its token, and as X-Tenant-ID the tenant in the token.
 */
function createClient(send: Send) {
  let session: { token: string; tenant: string } | undefined;
  const call = async (method: string, path: string, body?: object) => {
    const reply = await send(method, `/api${path}`, body, {
      "content-type": "application/json",
      ...(session && {
        authorization: `Bearer ${session.token}`,
        "x-tenant-id": session.tenant,
      }),
    });
    if (reply.status === undefined || reply.status >= 300 || typeof reply.body !== "object") {
      throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    }
    return reply.body.data ?? reply.body;
  };
  const keep = (answer: { access_token: string; refresh_token: string; token_type: string }) => {
    expect(answer).toMatchObject({
      access_token: expect.stringMatching(/./),
      refresh_token: expect.stringMatching(/./),
      token_type: "bearer",
    });
    const { user, tenant_id: tenant } = claimsOf(answer.access_token);
    session = { token: answer.access_token, tenant };
    return { user, tenant };
  };
  return {
    call,
    logIn: async (username_or_email: string, secret: string, named?: string) =>
      keep(
        await call("POST", "/auth/login", {
          username_or_email,
          password: secret,
          ...(named !== undefined && { tenant_id: named }),
        }),
      ),
    refresh: async (path = "/auth/refresh", body?: object) => keep(await call("POST", path, body)),
    logOut: () => call("POST", "/auth/logout"),
  };
}

const contact = {
  name: "John Doe",
  email: "john.doe@example.com",
  gender: true,
  age: 30,
  address: "123 Main St, City, State 12345",
  phone: "+1-555-0123",
};

/** All its calls for contacts and its session. */
async function workThrough(send: Send) {
  const { call, logIn, refresh, logOut } = createClient(send);
  expect(await logIn("ada", password, tenant_id)).toEqual({ user: "ada", tenant: tenant_id });
  expect(await call("GET", "/auth/me")).toMatchObject({ username: "ada", tenant_id });

  const made = await call("POST", "/address-book", contact);
  expect(made).toMatchObject({ tenant_id, ...contact });
  for (const query of [
    "",
    "?page=1&limit=10",
    "?search=doe",
    "?page=1&limit=10&search=JOHN&sort=name,asc",
    "?cursor=0&limit=10",
    "?page_num=1&page_size=10&sort_by=name&sort_order=asc",
    "/filter?name=John&page_num=1&page_size=10&sort_by=name&sort_order=asc",
  ]) {
    const list = await call("GET", `/address-book${query}`);
    expect(list.contacts, query).toEqual([made]);
    expect(list).toMatchObject({ total: 1, page: 1, total_pages: 1 });
  }
  expect((await call("GET", "/address-book?search=nobody")).contacts).toEqual([]);

  const changes = { ...contact, gender: false, age: 31, address: "456 New St" };
  expect(await call("PUT", `/address-book/${made.id}`, changes)).toMatchObject(changes);
  expect(await call("GET", `/address-book/${made.id}`)).toMatchObject(changes);

  expect(await refresh()).toEqual({ user: "ada", tenant: tenant_id });
  const { refresh_token } = await call("POST", "/auth/refresh");
  expect(await refresh("/auth/refresh-token", { refresh_token })).toMatchObject({ user: "ada" });

  expect(await call("DELETE", `/address-book/${made.id}`)).toEqual({ message: expect.any(String) });
  expect((await call("GET", "/address-book")).contacts).toEqual([]);
  expect(await logOut()).toEqual({ message: expect.any(String) });
  await expect(call("GET", "/address-book")).rejects.toThrow("401");
}

describe("its client", () => {
  const send: Send = (method, path, body, headers = {}) => client(method, path, { body, headers });

  test("signs in, manages contacts, refreshes its session and logs out", () => workThrough(send));

  test("is refused if it names another tenant than the host's", async () => {
    await client("POST", "/tenants", { body: { id: "tenant2", name: "Two" } });
    const body = { username_or_email: "ada", password, tenant_id: "tenant2" };
    const reply = await client("POST", "/api/auth/login", { body });
    expect([reply.status, reply.body.message]).toEqual([403, "Tenant access denied"]);
    const person = { username: "eve", email: "eve@tenant1.com", password, tenant_id: "tenant2" };
    expect((await client("POST", "/api/auth/signup", { body: person })).status).toBe(403);
    const { body: signedIn } = await client("POST", "/api/auth/login", {
      body: { username_or_email: "ada", password },
    });
    const list = await client("GET", "/api/address-book", {
      token: signedIn.token,
      headers: { "x-tenant-id": "tenant2" },
    });
    expect([list.status, list.body.message]).toEqual([403, "Tenant access denied"]);
  });

  test("shows tenants to a platform administrator, and a database's URL to nobody", async () => {
    const { body } = await client("POST", "/api/auth/login", {
      body: { username_or_email: adminEmail, password: adminPassword },
    });
    const call = async (method: string, path: string, sent?: object) => {
      const reply = await client(method, path, { token: body.token, body: sent });
      expect(reply.status, `${method} ${path} ${JSON.stringify(reply.body)}`).toBeLessThan(300);
      expect(JSON.stringify(reply.body)).not.toMatch(/postgres|sesame|db_url|password/);
      return reply.body;
    };
    const db_url = "postgres://user:sesame@localhost/tenant3_db";
    const made = await call("POST", "/api/admin/tenants", { id: "tenant3", name: "Three", db_url });
    expect(made).toMatchObject({ id: "tenant3", name: "Three" });
    const page = await call("GET", "/api/admin/tenants?page_num=1&page_size=1");
    expect(page.data).toHaveLength(1);
    expect(page.total).toBeGreaterThan(1);
    const pager = await call("GET", "/api/admin/tenants?offset=0&limit=20");
    expect(pager.data).toMatchObject({ total: page.total, offset: 0, limit: 20 });
    const query = "filters[0][field]=name&filters[0][operator]=eq&filters[0][value]=Three";
    const filtered = await call("GET", `/api/admin/tenants/filter?${encodeURI(query)}`);
    expect(filtered.data).toMatchObject([{ id: "tenant3" }]);
    await call("PUT", "/api/admin/tenants/tenant3", { name: "Third", db_url });
    expect(await call("GET", "/api/admin/tenants/tenant3")).toMatchObject({ name: "Third" });
    for (const place of ["stats", "health", "status"]) {
      expect(JSON.stringify(await call("GET", `/api/admin/tenant/${place}`))).toContain("tenant3");
    }
    await call("DELETE", "/api/admin/tenants/tenant3");
    for (const path of ["/api/health", "/api/health/detailed", "/api/health/performance"]) {
      expect(await call("GET", path)).toMatchObject({ status: "healthy" });
    }
    expect(server.output()).not.toContain("sesame");
  });

  test("is not an administrator just by being signed in", async () => {
    const { body } = await client("POST", "/api/auth/login", {
      body: { username_or_email: "ada", password },
    });
    for (const path of ["/api/admin/tenants", "/api/tenants", "/api/admin/tenant/stats"]) {
      expect((await client("GET", path, { token: body.token })).status).toBe(403);
      expect((await client("GET", path)).status).toBe(401);
    }
  });
});

describe.skipIf(!browserPath)("in a browser", () => {
  let context: Awaited<ReturnType<typeof launchBrowser>>;
  beforeAll(async () => {
    context = await launchBrowser(`${folder.path}/browser`);
  });
  afterAll(() => context?.close());

  const opened = async (from: Server): Promise<{ tab: Page; send: Send }> => {
    const tab = await context.newPage();
    await tab.goto(`http://localhost:${portOf(from)}`);
    const send: Send = (method, path, body, headers = {}) =>
      fetchFrom(tab, server.url + path, {
        method,
        headers,
        credentials: "omit",
        ...(body && { body: JSON.stringify(body) }),
      });
    return { tab, send };
  };

  test("a page of an allowed origin can do everything that its client does, with its headers", async () => {
    const { tab, send } = await opened(page);
    await workThrough(send);
    await tab.close();
  });

  test("a page of another origin can't sign in, nor send X-Tenant-ID", async () => {
    const { tab, send } = await opened(stranger);
    const headers = { "content-type": "application/json" };
    const body = { username_or_email: "ada", password };
    expect(await send("POST", "/api/auth/login", body, headers)).toEqual({});
    expect(await send("GET", "/api/address-book", undefined, { "x-tenant-id": tenant_id })).toEqual(
      {},
    );
    await tab.close();
  });
});
