/**
 * The dialects from outside: the command lines and clients of their documents, as they stand there (only
 * the port is another one), against a server as a newcomer starts it.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawData, WebSocket } from "ws";
import { type Client, clientOf } from "./client.ts";
import { freePort, type StartedServer, startServer, temporaryFolder } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let client: Client;
let logPort: number;

beforeAll(async () => {
  folder = await temporaryFolder();
  logPort = await freePort();
  server = await startServer({
    dataDir: folder.path,
    env: { RATE_LIMIT_CREDENTIALS: "0", APP_WS_PORT: String(logPort), LOG_LEVEL: "info" },
  });
  client = clientOf(server.url);
  await client("POST", "/tenants", { body: { id: "demo_tenant", name: "Demo" } });
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

/** Runs it in a shell. @returns what each `echo ==` parts. */
function shell(script: string, variables: Readonly<Record<string, string>> = {}): string[] {
  const text = script.replaceAll("http://localhost:8000", server.url);
  const env = { ...process.env, ...variables };
  const output = execFileSync("bash", ["-ec", text], { encoding: "utf8", env, stdio: "pipe" });
  return output.split("==\n").map((part) => part.trim());
}

describe("address-book: the shell of its document", () => {
  let token: string;

  // Shows S2-034, S2-035, S2-036, S2-037, S2-038, S2-039
  test("signs up, logs in, keeps contacts", () => {
    const [signup = "", log_in = "", added = "", listed = ""] = shell(`
curl -s -X POST http://localhost:8000/api/auth/signup \\
  -H "Content-Type: application/json" \\
  -d '{
    "username": "admin",
    "email": "admin@tenant1.com",
    "password": "MyS3cur3P@ssw0rd!"
  }'
echo; echo ==
REPLY=$(curl -s -X POST http://localhost:8000/api/auth/login \\
  -H "Content-Type: application/json" \\
  -d '{
    "username_or_email": "admin",
    "password": "MyS3cur3P@ssw0rd!"
  }')
TOKEN=$(printf %s "$REPLY" | node -pe 'JSON.parse(require("fs").readFileSync(0)).token')
echo $TOKEN; echo ==
curl -s -X POST http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer $TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "John Doe",
    "email": "john@example.com",
    "phone": "+1234567890"
  }'
echo; echo ==
curl -s -X GET http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer $TOKEN"
`);
    expect(JSON.parse(signup).user.username).toBe("admin");
    token = log_in;
    const contact = { name: "John Doe", email: "john@example.com", phone: "+1234567890" };
    expect(JSON.parse(added)).toMatchObject(contact);
    expect(JSON.parse(listed)).toMatchObject([contact]);
  });

  // Shows S2-040, S2-041, S2-042, S2-043
  test("is refused in the documented words", async () => {
    await client("POST", "/tenants", { body: { id: "other", name: "Other" } });
    const other = await client("POST", "/auth/register", {
      tenant: "other",
      body: { email: "eve@example.com", password: "a-Fine-passphrase-7" },
    });
    const replies = shell(
      `
curl -s -X GET http://localhost:8000/api/address-book  # 401: Missing JWT
echo; echo ==
curl -s -X GET http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer invalid_token"  # 401: Invalid JWT
echo; echo ==
curl -s -X GET http://localhost:8000/api/address-book \\
  -H "Authorization: Bearer $OTHER_TENANT_TOKEN"  # 403: Tenant mismatch
`,
      { OTHER_TENANT_TOKEN: other.body.access_token },
    );
    expect(replies).toEqual([
      '{"status":401,"error":"Unauthorized","message":"Missing authorization header"}',
      '{"status":401,"error":"Unauthorized","message":"Invalid token"}',
      '{"status":403,"error":"Forbidden","message":"Tenant access denied"}',
    ]);
  });

  // Shows S2-070, S2-071, S2-073, S2-074, S2-076, S2-082, S2-086, S2-087, S2-091
  test("the log comes over a WebSocket, at both addresses, by header and by query", async () => {
    expect((await client("GET", "/api/logs")).status).toBe(410);

    // Nobody's, and a user's who may not see the log.
    for (const headers of [{}, { Authorization: `Bearer ${token}` }]) {
      const refused = new WebSocket(`ws://localhost:${logPort}/logs`, { headers });
      const [error] = await once(refused, "error");
      expect(String(error)).toContain("403");
    }

    const admin = await client("POST", "/api/v1/auth/login", {
      body: { email: "admin@example.com", password: "an-Unusual-passphrase-1" },
    });
    const byHeader = new WebSocket(`ws://localhost:${logPort}/logs`, {
      headers: { Authorization: `Bearer ${admin.body.token}` },
    });
    const byQuery = new WebSocket(
      `${server.url.replace("http", "ws")}/api/ws/logs?token=${encodeURIComponent(admin.body.token)}`,
    );
    await Promise.all([once(byHeader, "open"), once(byQuery, "open")]);
    const lines = Promise.all([lineFrom(byHeader), lineFrom(byQuery)]);
    await client("GET", "/api/address-book", { token });
    const format = /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] [A-Z]+ \[[^\]]+\] /;
    for (const line of await lines) expect(line).toMatch(format);
    byHeader.close();
    byQuery.close();
  });
});

async function lineFrom(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, "message")) as [RawData];
  return data.toString();
}

// Shows S0-070
test("master-tenant: from a tenant to its users", async () => {
  const person = {
    email: "john@example.com",
    password: "SecurePassword123!",
    first_name: "John",
    last_name: "Doe",
  };
  const created = await client("POST", "/tenants", { body: { id: "acme_corp", name: "ACME" } });
  expect(created.body).toMatchObject({ id: "acme_corp", status: "active" });
  const { password, ...profile } = person;
  expect((await client("POST", "/auth/register", { body: person })).body).toMatchObject(profile);
  const { body } = await client("POST", "/auth/login", { body: { email: person.email, password } });
  const call = { token: body.token };
  const list = await client("GET", "/api/users?page=1&page_size=25", call);
  expect(list.body).toMatchObject({ page: 1, page_size: 25 });
  expect(list.body.users).toContainEqual(expect.objectContaining(profile));
  expect((await client("GET", "/api/users/count?email=john", call)).body).toEqual({ count: 1 });
});

test("host-routing: a tenant registered while the server runs answers at its host", async () => {
  const hosts = ["tenant1.example.com", "www.tenant1.example.com"];
  const body = { tenant_id: "tenant-1", hosts };
  expect((await client("POST", "/admin/tenants", { body })).status).toBe(201);
  for (const host of hosts) {
    const [reply = ""] = shell(`curl -s -H "Host: ${host}" http://localhost:8000/api/data`);
    expect(JSON.parse(reply)).toEqual({ tenant: "tenant-1", message: "Tenant-specific data" });
  }
});

test("core-organizations: from an account to an organization's user", async () => {
  const password = "a-Fine-passphrase-7";
  const core = await client("POST", "/auth/register", {
    body: { email: "owner@core.example", password, is_owner: true },
  });
  const made = await client("POST", "/organizations", {
    token: core.body.access_token,
    body: { name: "Acme" },
  });
  expect(made.status).toBe(201);
  const tenant = String(made.body.id);
  const body = { email: "member@core.example", password };
  const member = await client("POST", "/auth/register", { tenant, body });
  expect(member.status).toBe(201);
  const me = await client("GET", "/users/me", { tenant, token: member.body.access_token });
  expect(me.body.email).toBe("member@core.example");
  const wrong = await client("GET", "/users/me", { tenant, token: core.body.access_token });
  expect([401, 403]).toContain(wrong.status);
});
