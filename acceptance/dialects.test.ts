/** All dialects work together, on one server and the same data; each has its own test file too. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

/** Everything that the documents name. The WebSocket answers a plain request with 426. */
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

test("every documented address is in the reference, and works", async () => {
  const documents = ["/api-docs/openapi.json", "/api-docs/dialects.json"];
  const paths = await Promise.all(
    documents.map(async (url) => (await client("GET", url)).body.paths as Record<string, object>),
  );
  const anyName = (path: string) => path.replaceAll(/\{\w+\}/g, "{}");
  const inReference = new Set(
    paths
      .flatMap((each) => Object.entries(each))
      .flatMap(([path, methods]) =>
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
  // Strangers select the tenant by the host: nobody can enumerate tenants by name.
  const byHost = "GET /api/tenant/info";
  expect(
    answers.filter(([line, status]) => [404, 405, 500].includes(status) && line !== byHost),
  ).toEqual([]);
});

describe("host-routing: the routes of its document", () => {
  const hosts = ["tenant1.example.com", "www.tenant1.example.com"];
  const password = "a-Fine-passphrase-7";
  const email = "carl@tenant1.example.com";
  const shell = (lines: readonly string[]) => shellAt(server.url)(lines);
  const at = (host: string, path: string, ...headers: readonly string[]) =>
    `curl -s -w '\n%{http_code}' -H "Host: ${host}" ${headers.map((header) => `-H '${header}'`).join(" ")} \\
  http://localhost:8000${path}`;
  /** The status and the body. */
  const answer = (text: string | undefined) => {
    const [body = "", status] = (text ?? "").split("\n");
    return [Number(status), JSON.parse(body)];
  };

  test("a tenant registered at run time is served at its hosts", async () => {
    const register = (tenant_id: string, names: readonly string[]) =>
      client("POST", "/admin/tenants", { body: { tenant_id, hosts: names } });
    const made = await register("tenant-1", hosts);
    expect([made.status, made.body]).toEqual([
      201,
      { message: "Tenant registered successfully", tenant_id: "tenant-1" },
    ]);
    await register("tenant-2", ["tenant2.example.com"]);
    for (const host of hosts) {
      const [data, info] = shell([
        at(host, "/api/data"),
        at(`${host}:8080`, "/api/tenant/info"),
      ]).map(answer);
      expect(data).toEqual([200, { tenant: "tenant-1", message: "Tenant-specific data" }]);
      const config = { features: {}, limits: {}, branding: {} };
      expect(info).toEqual([200, { tenant_id: "tenant-1", hosts, config }]);
    }
    expect((await client("GET", "/metrics")).body).toContain(
      '\napi_requests_total{tenant="tenant-1",endpoint="/api/data"} 2\n',
    );
    const taken = await register("tenant-3", ["new.example.com", hosts[0] ?? ""]);
    expect([taken.status, taken.body]).toEqual([409, { error: "Failed to register host" }]);
    const again = await register("tenant-1", ["new.example.com"]);
    expect([again.status, again.body]).toEqual([409, { error: "Failed to register tenant" }]);
    const wrong = await client("POST", "/admin/tenants", { body: { hosts } });
    expect([wrong.status, wrong.body]).toEqual([400, { error: "Invalid request" }]);
  });

  test("without a tenant, the host is not found", () => {
    const none = { error: "Tenant not found" };
    const [data, info] = shell([
      at("nobody.example.com", "/api/data"),
      at("nobody.example.com", "/api/tenant/info"),
    ]).map(answer);
    expect([data, info]).toEqual([
      [400, none],
      [404, none],
    ]);
  });

  test("people log in at their host, see their own data, and nothing at another's", async () => {
    const registered = await client("POST", "/api/v1/auth/register", {
      tenant: "tenant-1",
      body: { email, password },
    });
    const [host = ""] = hosts;
    const [login = ""] = shell([
      `curl -s -i -X POST http://localhost:8000/login -H "Host: ${host}" \\
  -H "Content-Type: application/json" -d '{"username": "${email}", "password": "${password}"}'`,
    ]);
    expect(login).toContain('{"message":"Login successful"}');
    const cookie = `Cookie: ${/^set-cookie: ([^;]+)/im.exec(login)?.[1]}`;
    const [profile, secure, users, elsewhere, nobody] = shell([
      at(host, "/api/profile", cookie),
      at(host, "/api/secure/data", cookie),
      at(host, "/api/users", cookie),
      at("tenant2.example.com", "/api/secure/data", cookie),
      at(host, "/api/secure/data"),
    ]).map(answer);
    expect(profile).toMatchObject([200, { tenant: "tenant-1", email }]);
    expect(secure).toMatchObject([200, { tenant: "tenant-1", role: "user" }]);
    expect(users).toMatchObject([200, { tenant: "tenant-1", users: [{ email }] }]);
    expect(elsewhere).toEqual([403, { error: "Access denied" }]);
    expect(nobody).toEqual([401, { error: expect.any(String) }]);

    const token: string = registered.body.access_token;
    const body = { title: "A title", content: "Its content" };
    const made = await client("POST", "/api/documents", { token, body });
    expect([made.status, Object.keys(made.body)]).toEqual([201, ["id"]]);
    const shown = await client("GET", `/api/v1/documents/${made.body.id}`, { token });
    expect(shown.body).toMatchObject(body);
  });
});

test("data created through one dialect is visible in the others", async () => {
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
