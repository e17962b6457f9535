/**
 * A system with a database per tenant, and users in a master database: its document from top to
 * bottom, with its HTTP blocks verbatim.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, clientOf } from "./client.ts";
import {
  adminEmail,
  adminPassword,
  type StartedServer,
  startServer,
  temporaryFolder,
} from "./server.ts";
import { claimsOf, sendBlock, tokenHeaderOf } from "./verbatim.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let client: Client;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startServer({
    dataDir: folder.path,
    env: {
      RATE_LIMIT_CREDENTIALS: "0",
      RATE_LIMIT_ANONYMOUS: "0",
      // Its environment without the database.
      JWT_SECRET: "your-super-secret-jwt-key-here-make-it-long-and-random-at-least-32-characters",
      JWT_EXPIRATION: "3600",
      CORS_ORIGINS: "http://localhost:3000,http://localhost:3001",
      RUST_LOG: "debug,sea_orm=debug",
    },
  });
  client = clientOf(server.url);
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const times = { created_at: time, updated_at: time };
const john = {
  id: uuid,
  email: "john@example.com",
  first_name: "John",
  last_name: "Doe",
  ...times,
};

const registration = `
POST /auth/register
Content-Type: application/json

{
  "email": "john@example.com",
  "password": "SecurePassword123!",
  "first_name": "John",
  "last_name": "Doe"
}
`;
const login = `
POST /auth/login
Content-Type: application/json

{
  "email": "john@example.com",
  "password": "SecurePassword123!"
}
`;

describe("the documented requests, in their order", () => {
  let token: string;
  let id: string;
  const send = (block: string) => sendBlock(client, block, { authorization: `Bearer ${token}` });

  test("Create Tenant", async () => {
    const made = await sendBlock(
      client,
      `
POST /tenants
Content-Type: application/json

{
  "id": "acme_corp",
  "name": "ACME Corporation"
}
`,
    );
    expect([made.status, made.body]).toEqual([
      201,
      { id: "acme_corp", name: "ACME Corporation", status: "active", ...times },
    ]);
  });

  test("Register User, with the demo_tenant of its workaround", async () => {
    const early = await sendBlock(client, registration);
    expect(early.body).toMatchObject({ error: "Not Found", status_code: 404 });
    expect(early.body.message).toContain("demo_tenant");

    await client("POST", "/tenants", { body: { id: "demo_tenant", name: "Demo" } });
    const made = await sendBlock(client, registration);
    expect([made.status, made.body]).toEqual([201, john]);
    id = made.body.id;
  });

  test("Login", async () => {
    const { status, body } = await sendBlock(client, login);
    expect([status, body.user]).toMatchObject([200, { ...john, id }]);
    token = body.token;
    expect(tokenHeaderOf(token)).toMatchObject({ typ: "JWT", alg: "HS256" });
    const claims = claimsOf(token);
    const tenants = await client("GET", "/api/v1/tenants/demo_tenant", { token });
    expect(claims).toMatchObject({ user_id: id, tenant_id: tenants.body.id });
    expect(claims.permissions).toContain("users:read");
    expect(claims.exp - claims.iat).toBe(3600);
  });

  test("List Users", async () => {
    const { status, body } = await send("GET /api/users?page=1&page_size=25");
    expect([status, body]).toEqual([
      200,
      {
        users: [{ ...john, id, tenant_id: "demo_tenant" }],
        total_count: 1,
        page: 1,
        page_size: 25,
        tenant: "demo_tenant", // of the other system with this path
      },
    ]);
    const second = await send("GET /api/users?page=2&page_size=25");
    expect(second.body).toMatchObject({ users: [], total_count: 1, page: 2 });
  });

  test("Get User Count", async () => {
    expect((await send("GET /api/users/count?email=john")).body).toEqual({ count: 1 });
    expect((await send("GET /api/users/count?email=jane")).body).toEqual({ count: 0 });
  });

  test("Create User Profile", async () => {
    const made = await send(`
POST /api/users
Content-Type: application/json

{
  "email": "jane@example.com",
  "first_name": "Jane",
  "last_name": "Smith"
}
`);
    const jane = { email: "jane@example.com", first_name: "Jane", last_name: "Smith" };
    expect([made.status, made.body]).toEqual([
      201,
      { id: uuid, ...jane, tenant_id: "demo_tenant", ...times },
    ]);
    expect((await send("GET /api/users/count")).body).toEqual({ count: 2 });
  });

  test("Update User", async () => {
    const changed = await send(`
PATCH /api/users
Content-Type: application/json

{
  "id": "${id}",
  "first_name": "John Updated"
}
`);
    expect([changed.status, changed.body]).toMatchObject([
      200,
      { ...john, id, first_name: "John Updated" },
    ]);
    expect(changed.body.updated_at >= changed.body.created_at).toBe(true);
  });

  test("Delete User", async () => {
    const { body } = await send("GET /api/users?page=1&page_size=25");
    const jane = body.users.find((user: { email: string }) => user.email === "jane@example.com");
    expect((await send(`DELETE /api/users?id=${jane.id}`)).status).toBe(204);
    expect((await send("GET /api/users/count")).body).toEqual({ count: 1 });
  });

  test("Error Responses", async () => {
    const expired = await client("GET", "/api/users", { token: "expired" });
    expect([expired.status, expired.body]).toEqual([
      401,
      { error: "Unauthorized", message: "Invalid or expired token", status_code: 401 },
    ]);
    const refused = [
      [await client("GET", "/api/users"), 401, "Unauthorized"],
      [await send("GET /api/users?page=0"), 400, "Bad Request"],
      [await send("DELETE /api/users?id=550e8400-e29b-41d4-a716-446655440000"), 404, "Not Found"],
      [
        await client("POST", "/api/users", { token: await viewerToken(), body: jane }),
        403,
        "Forbidden",
      ],
    ] as const;
    for (const [{ status, body }, code, error] of refused) {
      expect([status, body]).toEqual([
        code,
        { error, message: expect.any(String), status_code: code },
      ]);
    }
  });

  const jane = { email: "jane@example.com", first_name: "Jane", last_name: "Smith" };
  async function viewerToken(): Promise<string> {
    const person = { email: "second@example.com", password: "SecurePassword123!" };
    await client("POST", "/auth/register", { body: { ...person, first_name: "Second" } });
    return (await client("POST", "/auth/login", { body: person })).body.token;
  }

  test("pages of its CORS_ORIGINS, and no others, may use each of its methods", async () => {
    const ask = (origin: string, method: string) =>
      client("OPTIONS", "/api/users", {
        headers: { origin, "access-control-request-method": method },
      });
    for (const method of ["GET", "POST", "PATCH", "DELETE"]) {
      for (const origin of ["http://localhost:3000", "http://localhost:3001"]) {
        const { headers } = await ask(origin, method);
        expect(headers.get("access-control-allow-origin")).toBe(origin);
        expect(headers.get("access-control-allow-methods")).toContain(method);
      }
      const foreign = await ask("https://evil.example", method);
      expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
    }
  });
});

test("the full life cycle of a tenant, which nobody can enter once it is inactive", async () => {
  const tenant = "lifecycle_corp";
  const password = "SecurePassword123!";
  const person = { email: "owner@lifecycle.example", first_name: "Olga", last_name: "Owner" };
  expect((await client("POST", "/tenants", { body: { id: tenant, name: "L" } })).status).toBe(201);
  const credentials = { email: person.email, password };
  const registered = await client("POST", "/auth/register", {
    tenant,
    body: { ...person, password },
  });
  expect(registered.status).toBe(201);
  const { body } = await client("POST", "/auth/login", { tenant, body: credentials });
  const { token } = body;

  const list = await client("GET", "/api/users?page=1&page_size=25", { token });
  expect(list.body.users).toMatchObject([{ ...person, tenant_id: tenant }]);
  const count = await client("GET", "/api/users/count?email=lifecycle", { token });
  expect(count.body).toEqual({ count: 1 });

  const call = { token: await adminToken() };
  expect((await client("POST", `/api/v1/tenants/${tenant}/suspend`, call)).status).toBe(200);
  const refused = await client("GET", "/api/users", { token });
  expect([refused.status, refused.body]).toMatchObject([
    403,
    { error: "Forbidden", status_code: 403 },
  ]);
  // To strangers it looks like a missing one.
  const [again, unknown] = await Promise.all(
    [tenant, "nowhere_corp"].map((name) =>
      client("POST", "/auth/login", { tenant: name, body: credentials }),
    ),
  );
  expect(again?.status).toBeGreaterThanOrEqual(400);
  expect([again?.status, again?.body]).toEqual([unknown?.status, unknown?.body]);

  await client("POST", `/api/v1/tenants/${tenant}/resume`, call);
  expect((await client("GET", "/api/users", { token })).status).toBe(200);
});

async function adminToken(): Promise<string> {
  const body = { email: adminEmail, password: adminPassword };
  return (await client("POST", "/api/v1/auth/login", { body })).body.token;
}
