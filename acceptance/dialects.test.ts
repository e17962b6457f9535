/** That all of them work at once, on one server and the same data; each has a file of its own beside this one. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Client, clientOf } from "./client.ts";
import { type StartedServer, startServer, temporaryFolder } from "./server.ts";
import { shellAt } from "./verbatim.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let client: Client;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startServer({
    dataDir: folder.path,
    env: { RATE_LIMIT_CREDENTIALS: "0", RATE_LIMIT_ANONYMOUS: "0" },
  });
  client = clientOf(server.url);
  await client("POST", "/tenants", { body: { id: "demo_tenant", name: "Demo" } });
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

/** All that the documents name. The WebSocket answers a plain request with 426. */
const documented = `
POST /admin/tenants
GET /api-docs/openapi.json
GET /api/address-book
POST /api/address-book
POST /api/auth/login
POST /api/auth/signup
GET /api/data
POST /api/documents
GET /api/logs
GET /api/profile
GET /api/secure/data
GET /api/tenant/info
DELETE /api/users
GET /api/users
PATCH /api/users
POST /api/users
GET /api/users/count
POST /api/v1/auth/login
POST /api/v1/auth/logout
POST /api/v1/auth/password-reset
POST /api/v1/auth/password-reset-request
POST /api/v1/auth/refresh
POST /api/v1/auth/register
POST /api/v1/auth/verify-email
GET /api/v1/files
POST /api/v1/files/upload
DELETE /api/v1/files/{file_id}
GET /api/v1/files/{file_id}
GET /api/v1/files/{file_id}/download
POST /api/v1/notifications/email
GET /api/v1/notifications/history
POST /api/v1/notifications/push
POST /api/v1/notifications/sms
GET /api/v1/notifications/templates
POST /api/v1/notifications/templates
GET /api/v1/roles
POST /api/v1/roles
DELETE /api/v1/roles/{id}
GET /api/v1/roles/{id}
PUT /api/v1/roles/{id}
POST /api/v1/roles/{id}/permissions
DELETE /api/v1/roles/{id}/permissions/{permission_id}
GET /api/v1/tenants
POST /api/v1/tenants
DELETE /api/v1/tenants/{id}
GET /api/v1/tenants/{id}
PUT /api/v1/tenants/{id}
GET /api/v1/tenants/{id}/usage
GET /api/ws/logs
POST /auth/login
POST /auth/register
GET /auth/verify
GET /health
GET /health/db
GET /health/live
GET /health/ready
POST /login
GET /metrics
POST /organizations
GET /redoc
GET /swagger-ui
POST /tenants
GET /users/me
`;

// Shows S1-162, S1-163, S1-164, S1-165
test("every documented address is in the reference, and answered", async () => {
  const { body } = await client("GET", "/api-docs/openapi.json");
  const anyName = (path: string) => path.replaceAll(/\{\w+\}/g, "{}");
  const inReference = new Set(
    Object.entries<object>(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${anyName(path)}`),
    ),
  );
  const reference = ["GET /api-docs/openapi.json", "GET /redoc", "GET /swagger-ui"];
  const lines = documented.trim().split("\n");
  expect(lines).toHaveLength(63);
  const missing = lines.filter(
    (line) => !reference.includes(line) && !inReference.has(anyName(line)),
  );
  expect(missing).toEqual([]);
  const answers = await Promise.all(
    lines.map(async (line) => {
      const [method = "", path = ""] = line.split(" ");
      const url = path.replaceAll(/\{\w+\}/g, "01900000-0000-7000-8000-000000000000");
      return [line, (await client(method, url, { tenant: "demo_tenant" })).status] as const;
    }),
  );
  expect(answers.filter(([, status]) => [404, 405, 500].includes(status))).toEqual([]);
});

// Shows S3-005, S3-003, S3-035, S3-039, S3-040, S3-018, S3-020
test("a tenant registered while the server runs answers at its hosts", async () => {
  const hosts = ["tenant1.example.com", "www.tenant1.example.com"];
  const body = { tenant_id: "tenant-1", hosts };
  const made = await client("POST", "/admin/tenants", { body });
  expect([made.status, made.body]).toEqual([
    201,
    { message: "Tenant registered successfully", tenant_id: "tenant-1" },
  ]);
  for (const host of hosts) {
    const [data = "", info = ""] = shellAt(server.url)([
      `curl -s -H "Host: ${host}" http://localhost:8000/api/data`,
      `curl -s -H "Host: ${host}:8080" http://localhost:8000/api/tenant/info`,
    ]);
    expect(JSON.parse(data)).toEqual({ tenant: "tenant-1", message: "Tenant-specific data" });
    const config = { features: {}, limits: {}, branding: {} };
    expect(JSON.parse(info)).toEqual({ tenant_id: "tenant-1", hosts, config });
  }
  expect((await client("GET", "/api/data")).body).toEqual({ error: "Tenant not found" });
});

test("what is made by one of them is there in the others", async () => {
  const password = "a-Fine-passphrase-7";
  const [username, email] = ["ada", "ada@example.com"];
  await client("POST", "/api/auth/signup", { body: { username, email, password } });
  const contact = { name: "Grace", email: "grace@example.com", phone: "+1234567890" };
  const { body } = await client("POST", "/auth/login", { body: { email, password } });
  const call = { token: body.token };
  const made = await client("POST", "/api/address-book", { ...call, body: contact });
  expect((await client("GET", "/api/v1/contacts", call)).body.items).toMatchObject([
    { id: made.body.id, ...contact },
  ]);
  expect((await client("GET", "/api/users", call)).body).toMatchObject({
    tenant: "demo_tenant",
    users: [{ email }],
  });
  const { number } = (await client("GET", "/api/v1/tenants/demo_tenant", call)).body;
  const shown = await client("GET", "/users/me", { ...call, tenant: String(number) });
  expect(shown.body).toMatchObject({ email, is_active: true });
});
