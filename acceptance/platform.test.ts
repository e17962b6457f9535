/**
 * The platform whose API is the canonical one: the endpoints of its document, section by section,
 * as used by somebody who starts with nothing.
 *
 * Long because the document is, and one server serves all of its sections.
 */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Call, type Client, clientOf } from "./client.ts";
import {
  adminEmail,
  adminPassword,
  type StartedServer,
  startServer,
  temporaryFolder,
} from "./server.ts";
import { claimsOf, shellAt } from "./verbatim.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let client: Client;
let acme: Member;
let other: Member;
let admin: string;
const password = "SecurePass123";

interface Member {
  readonly tenant: string;
  readonly key: string;
  readonly token: string;
  readonly email: string;
}

const api = (method: string, path: string, call?: Call) => client(method, `/api/v1${path}`, call);

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startServer({
    dataDir: folder.path,
    env: {
      RATE_LIMIT_CREDENTIALS: "0",
      RATE_LIMIT_ANONYMOUS: "0",
      LOG_FILE: `${folder.path}/app.log`,
      // Its environment without other services.
      RUST_ENV: "development",
      RUST_LOG: "info,backend=debug",
      API_VERSION: "v1",
      JWT_SECRET: "your-super-secret-jwt-key-min-32-chars",
      JWT_EXPIRATION_HOURS: "24",
      REFRESH_TOKEN_EXPIRATION_DAYS: "30",
      SUPPORT_EMAIL: "support@example.com",
      FROM_EMAIL: "noreply@example.com",
    },
  });
  client = clientOf(server.url);
  const body = { email: adminEmail, password: adminPassword };
  admin = (await api("POST", "/auth/login", { body })).body.token;
  acme = await newTenant("acme");
  other = await newTenant("other");
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

/** Creates a tenant as an account, which owns it, and logs in to it. */
async function newTenant(key: string): Promise<Member> {
  const email = `owner@${key}.example`;
  const person = { email, password, first_name: "Olga" };
  const { body: account } = await api("POST", "/auth/register", { body: person });
  const body = { key, name: key };
  const made = await api("POST", "/tenants", { token: account.token, body });
  const { body: reply } = await api("POST", "/auth/login", { body: { email, password } });
  return { tenant: made.body.id, key, token: reply.token, email };
}

const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const unknown = "01900000-0000-7000-8000-000000000000";

/** The token in the newest e-mail to the address whose text matches. */
async function mailed(to: string, text: RegExp): Promise<string> {
  let token = "";
  await expect
    .poll(async () => {
      const { body } = await api("GET", `/dev/mails?to=${to}`);
      const mail = body.items.find((item: { text: string }) => text.test(item.text));
      token = /token=([\w.~-]+)/.exec(mail?.text ?? "")?.[1] ?? "";
      return token;
    })
    .not.toBe("");
  return token;
}

describe("authentication", () => {
  test("its registration test passes", async () => {
    const body = { email: "test@example.com", password: "SecurePass123", first_name: "Test" };
    const { status, body: made } = await api("POST", "/auth/register", { body });
    expect([status, made.user]).toMatchObject([201, { email: body.email, first_name: "Test" }]);
    for (const change of [
      { email: "no e-mail" },
      { password: "short" },
      { password: "x".repeat(129) },
      { first_name: "" },
      { first_name: "x".repeat(101) },
    ]) {
      const refused = await api("POST", "/auth/register", {
        body: { ...body, email: "new@example.com", ...change },
      });
      expect([change, refused.status]).toEqual([change, 400]);
    }
  });

  test("a log-in returns a pair of tokens, with its claims in the access token", async () => {
    const { status, body } = await api("POST", "/auth/login", {
      body: { email: acme.email, password },
    });
    expect([status, body]).toMatchObject([
      200,
      { token_type: "bearer", refresh_token: expect.any(String), expires_in: 86_400 },
    ]);
    const claims = claimsOf(body.access_token);
    expect(claims).toMatchObject({
      sub: body.user.id,
      tenant_id: acme.tenant,
      role: "owner",
      permissions: expect.arrayContaining(["users:read"]),
      token_type: "access",
    });
    expect(claims.exp - claims.iat).toBe(86_400);
  });

  test("a refresh rotates the pair; a log-out revokes both", async () => {
    const login = await api("POST", "/auth/login", { body: { email: acme.email, password } });
    const refresh = (refresh_token: string) =>
      api("POST", "/auth/refresh", { body: { refresh_token } });
    const first = await refresh(login.body.refresh_token);
    expect([first.status, first.body.refresh_token]).not.toContain(login.body.refresh_token);
    const second = await refresh(first.body.refresh_token);
    const { access_token: token, refresh_token } = second.body;
    expect((await api("GET", "/auth/me", { token })).status).toBe(200);
    expect((await api("POST", "/auth/logout", { token })).status).toBe(204);
    expect((await api("GET", "/auth/me", { token })).status).toBe(401);
    expect((await refresh(refresh_token)).status).toBe(401);

    const again = await api("POST", "/auth/login", { body: { email: acme.email, password } });
    const next = await refresh(again.body.refresh_token);
    await refresh(next.body.refresh_token);
    // It was used after its successor, so it was copied: the session ends for everybody.
    expect((await refresh(again.body.refresh_token)).status).toBe(401);
  });

  test("a password is reset by e-mail", async () => {
    const email = "forgetful@example.com";
    await api("POST", "/auth/register", { body: { email, password, first_name: "F" } });
    for (const address of [email, "nobody@example.com"]) {
      const asked = await api("POST", "/auth/password-reset-request", { body: { email: address } });
      expect([asked.status, asked.body]).toEqual([202, ""]);
    }
    const token = await mailed(email, /reset/i);
    const reset = () =>
      api("POST", "/auth/password-reset", { body: { token, password: "AnotherPass456" } });
    expect((await reset()).status).toBe(204);
    expect((await reset()).status).toBe(400);
    const logIn = (secret: string) =>
      api("POST", "/auth/login", { body: { email, password: secret } });
    expect((await logIn(password)).status).toBe(401);
    expect((await logIn("AnotherPass456")).status).toBe(200);
  });

  test("an e-mail is verified by e-mail", async () => {
    const email = "verified@example.com";
    const { body } = await api("POST", "/auth/register", {
      body: { email, password, first_name: "V" },
    });
    const token = await mailed(email, /verif/i);
    expect((await api("POST", "/auth/verify-email", { body: { token } })).status).toBe(204);
    const me = await api("GET", "/auth/me", { token: body.token });
    expect(me.body.user.email_verified).toBe(true);
  });
});

describe("tenants", () => {
  test("are listed and deleted by administrators, created, shown and changed by their owners", async () => {
    const { token, tenant } = acme;
    expect((await api("GET", "/tenants", { token })).status).toBe(403);
    const list = await api("GET", "/tenants", { token: admin });
    expect(list.body.items.map(({ key }: { key: string }) => key)).toContain("acme");

    const made = await api("POST", "/tenants", { body: { key: "brief", name: "Brief" } });
    expect([made.status, made.body]).toMatchObject([201, { id: uuid, slug: "brief" }]);
    const path = `/tenants/${made.body.id}`;
    expect((await api("GET", path, { token })).status).toBe(404);
    expect((await api("DELETE", path, { token })).status).toBe(403);
    expect((await api("DELETE", path, { token: admin })).status).toBe(204);
    expect((await api("GET", path, { token: admin })).status).toBe(404);

    const changed = await api("PUT", `/tenants/${tenant}`, { token, body: { name: "Acme Inc." } });
    expect([changed.status, changed.body.name]).toEqual([200, "Acme Inc."]);
    expect((await api("GET", `/tenants/${tenant}`, { token })).body.name).toBe("Acme Inc.");
  });

  test("show their usage, to their own people", async () => {
    const path = `/tenants/${acme.tenant}/usage`;
    const { status, body } = await api("GET", path, { token: acme.token });
    expect([status, body.tenant_id]).toEqual([200, acme.tenant]);
    expect(body.series.map(({ metric }: { metric: string }) => metric)).toContain("requests");
    expect((await api("GET", path, { token: other.token })).status).toBe(404);
  });

  test("are identified by the token, or else by a subdomain or a domain of their own", async () => {
    const body = { hostname: "shop.acme.example" };
    await api("POST", `/tenants/${acme.tenant}/hosts`, { token: admin, body });
    const logIn = ({ email }: Member, host: string) =>
      `curl -s -X POST http://localhost:8000/api/v1/auth/login -H "Host: ${host}" \\
  -H "Content-Type: application/json" -d '{"email": "${email}", "password": "${password}"}'`;
    const replies = shellAt(server.url)([
      logIn(acme, "acme.localhost"),
      logIn(acme, "shop.acme.example"),
      logIn(other, "acme.localhost"),
      `curl -s http://localhost:8000/api/v1/auth/me -H "Host: other.localhost" \\
  -H "Authorization: Bearer ${acme.token}"`,
    ]).map((text) => JSON.parse(text));
    expect(replies).toMatchObject([
      { tenant: { id: acme.tenant } },
      { tenant: { id: acme.tenant } },
      { status: 401 },
      { status: 403, code: "tenant_access_denied" },
    ]);
  });
});

describe("roles", () => {
  test("include its four, and an owner, which can't be changed", async () => {
    const { token } = acme;
    const { body } = await api("GET", "/roles", { token });
    const system = body.items.filter((role: { is_system_role: boolean }) => role.is_system_role);
    const names = system.map(({ name }: { name: string }) => name);
    expect(names).toEqual(["owner", "admin", "manager", "user", "viewer"]);
    const path = `/roles/${system[1].id}`;
    const changed = await api("PUT", path, { token, body: { name: "boss" } });
    expect(changed.status).toBeGreaterThanOrEqual(400);
    expect((await api("DELETE", path, { token })).status).toBe(changed.status);
    expect((await api("GET", path, { token })).body.name).toBe("admin");
  });

  test("of your own consist of its permissions, and take effect at once", async () => {
    const { token } = acme;
    const { status, body: role } = await api("POST", "/roles", {
      token,
      body: { name: "clerk", description: "Keeps the book", permissions: ["ReadUser"] },
    });
    expect([status, role]).toMatchObject([
      201,
      { id: uuid, name: "clerk", permissions: ["users:read"], is_system_role: false },
    ]);
    const path = `/roles/${role.id}`;
    expect((await api("GET", path, { token })).body).toMatchObject({ name: "clerk" });
    expect((await api("GET", path, { token: other.token })).status).toBe(404);

    // A viewer gets the role, and may do what it allows while they have it.
    const body = { email: "viewer@acme.example", password, role: "viewer" };
    const viewer = await api("POST", "/users", { token, body });
    const login = await api("POST", "/auth/login", {
      tenant: "acme",
      body: { email: body.email, password },
    });
    const mayAddRoles = async () =>
      (await api("POST", "/roles", { token: login.body.token, body: { name: "mine" } })).status;
    expect(await mayAddRoles()).toBe(403);
    const assigned = `/users/${viewer.body.id}/roles`;
    await api("POST", assigned, { token, body: { role: "clerk" } });
    for (const permission of ["ManageRoles", "ViewReports"]) {
      const added = await api("POST", `${path}/permissions`, { token, body: { permission } });
      expect(added.status).toBe(200);
    }
    expect(await mayAddRoles()).toBe(201);
    const removed = await api("DELETE", `${path}/permissions/ManageRoles`, { token });
    expect(removed.status).toBe(204);
    expect(await mayAddRoles()).toBe(403);

    const changed = await api("PUT", path, { token, body: { name: "scribe" } });
    expect([changed.status, changed.body.name]).toEqual([200, "scribe"]);
    expect((await api("DELETE", path, { token })).status).toBe(204);
    expect((await api("GET", path, { token })).status).toBe(404);
  });
});

test("errors have its statuses, as problem documents", async () => {
  const { token } = acme;
  const email = "viewer2@acme.example";
  await api("POST", "/users", { token, body: { email, password, role: "viewer" } });
  const viewer = await api("POST", "/auth/login", { tenant: "acme", body: { email, password } });
  const cases = [
    [await api("GET", "/contacts", { token: "none" }), 401, "invalid_token"],
    [
      await api("DELETE", `/roles/${unknown}`, { token: viewer.body.token }),
      403,
      "permission_denied",
    ],
    [await api("GET", `/files/${unknown}`, { token }), 404, "file_not_found"],
    [await api("POST", "/roles", { token, body: {} }), 400, "validation_failed"],
    [
      await api("POST", "/auth/login", { tenant: "nowhere", body: { email, password } }),
      401,
      "invalid_credentials",
    ],
  ] as const;
  for (const [{ status, body, headers }, expected, code] of cases) {
    expect([status, body]).toMatchObject([expected, { status: expected, code }]);
    expect(headers.get("content-type")).toContain("application/problem+json");
  }
});

test("its probes", async () => {
  const health = await client("GET", "/health");
  expect(health.body).toEqual({
    status: "healthy",
    timestamp: expect.stringMatching(/Z$/),
    version: expect.any(String),
  });
  const ready = await client("GET", "/health/ready");
  expect([ready.status, ready.body]).toMatchObject([
    200,
    { status: "ready", dependencies: { database: { status: "up" } } },
  ]);
  expect((await client("GET", "/health/live")).body).toEqual({ status: "alive" });
});

test("its metrics", async () => {
  const { headers, body } = await client("GET", "/metrics");
  expect(headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  for (const series of [
    'http_requests_total{method="POST",endpoint="/api/v1/auth/login"}',
    'insulae_http_responses_total{method="POST",endpoint="/api/v1/auth/login",status="200"}',
    'insulae_http_request_duration_recent_seconds{percentile="50"}',
    'insulae_http_request_duration_recent_seconds{percentile="95"}',
    'insulae_http_request_duration_recent_seconds{percentile="99"}',
    "insulae_db_statement_duration_seconds_count{",
    'cache_lookups_total{outcome="hit"}',
    "insulae_http_connections",
  ]) {
    expect(body).toContain(`\n${series}`);
  }
});

describe("rate limits", () => {
  const planned = async (key: string, plan: string) => {
    const member = await newTenant(key);
    await api("PUT", `/tenants/${member.tenant}`, { token: admin, body: { plan } });
    return member;
  };

  test("are those of the tenant's plan, in its headers", async () => {
    for (const [plan, limit] of [
      ["standard", 1000],
      ["premium", 10_000],
    ] as const) {
      const { token } = await planned(`with-${plan}`, plan);
      const { headers } = await api("GET", "/contacts", { token });
      const header = (name: string) => Number(headers.get(`x-ratelimit-${name}`));
      expect([header("limit"), header("remaining")]).toEqual([limit, limit - 1]);
      expect(Math.abs(header("reset") - Date.now() / 1000)).toBeLessThan(60);
      expect(headers.get("x-ratelimit-retryafter")).toBe("0");
    }
  });

  test("refuse excess requests, with the time to retry", async () => {
    const { token } = await planned("free-one", "free");
    let answer = await api("GET", "/contacts", { token });
    expect(answer.headers.get("x-ratelimit-limit")).toBe("60");
    // Some are regained meanwhile: one per second.
    for (let sent = 1; answer.status === 200 && sent < 120; sent += 1) {
      answer = await api("GET", "/contacts", { token });
    }
    expect([answer.status, answer.body.title]).toEqual([429, "Rate limit exceeded"]);
    expect(Number(answer.headers.get("x-ratelimit-retryafter"))).toBeGreaterThan(0);
    expect(answer.headers.get("x-ratelimit-remaining")).toBe("0");
    expect((await api("GET", "/contacts", { token: acme.token })).status).toBe(200);
  });
});

describe("notifications", () => {
  test("are sent as e-mail, text message and push, from templates, and are in the history", async () => {
    const { token } = acme;
    const template = {
      name: "order_shipped",
      type: "email",
      subject: "Order {{ number }}",
      body: "Dear {{ name }}, it is on its way.",
      variables: { number: {}, name: {} },
    };
    const made = await api("POST", "/notifications/templates", { token, body: template });
    expect([made.status, made.body]).toMatchObject([201, template]);
    const templates = await api("GET", "/notifications/templates", { token });
    expect(templates.body.items).toMatchObject([{ name: "order_shipped" }]);

    const notifications = [
      [
        "email",
        {
          recipient: "customer@example.com",
          template_name: "order_shipped",
          template_vars: { number: "7", name: "Ada" },
          priority: "high",
        },
      ],
      ["sms", { recipient: "+41791234567", body: "It is on its way", priority: "low" }],
      ["push", { recipient: "device-token-1", subject: "Order", body: "On its way" }],
    ] as const;
    const ids: string[] = [];
    for (const [channel, body] of notifications) {
      const sent = await api("POST", `/notifications/${channel}`, { token, body });
      expect([sent.status, sent.body.message_id]).toEqual([201, uuid]);
      ids.push(sent.body.message_id);
    }
    await expect
      .poll(async () => {
        const { body } = await api("GET", "/notifications/history", { token });
        return body.items.map(({ status }: { status: string }) => status);
      })
      .toEqual(["sent", "sent", "sent"]);
    const history = await api("GET", "/notifications/history", { token });
    expect(history.body.items.map(({ id }: { id: string }) => id)).toEqual(ids.toReversed());
    const mails = await api("GET", "/dev/mails?to=customer@example.com");
    expect(mails.body.items[0]).toMatchObject({ subject: "Order 7" });
    const foreign = await api("GET", "/notifications/history", { token: other.token });
    expect(foreign.body.items).toEqual([]);
  });
});

describe("files", () => {
  test("are uploaded, listed, shown, downloaded by a signed URL, and deleted", async () => {
    const { token } = acme;
    const upload = (fields: Readonly<Record<string, string>>, content: string) => {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.set(name, value);
      form.set("file", new Blob([content], { type: "text/plain" }), "notes.txt");
      const headers = { authorization: `Bearer ${token}` };
      return fetch(`${server.url}/api/v1/files/upload`, { method: "POST", headers, body: form });
    };
    const about = { file_name: "plan.txt", file_size: "5", mime_type: "text/plain" };
    const reply = await upload({ ...about, metadata: '{"project":"X"}' }, "hello");
    const file = (await reply.json()) as Record<string, unknown>;
    expect([reply.status, file]).toMatchObject([
      201,
      {
        file_name: "plan.txt",
        file_size: 5,
        file_key: expect.stringContaining(`${acme.tenant}/`),
        metadata: { project: "X" },
      },
    ]);
    const tooLarge = await upload({ ...about, file_size: "100000001" }, "hello");
    expect(tooLarge.status).toBe(400);

    const path = `/files/${file.id}`;
    expect((await api("GET", "/files", { token })).body.items).toEqual([file]);
    expect((await api("GET", path, { token })).body).toEqual(file);
    const download = await fetch(`${server.url}/api/v1${path}/download`, {
      headers: { authorization: `Bearer ${token}` },
      redirect: "manual",
    });
    expect(download.status).toBe(302);
    const url = download.headers.get("location") ?? "";
    expect(await (await fetch(url)).text()).toBe("hello");

    for (const [method, at] of [
      ["GET", path],
      ["GET", `${path}/download`],
      ["DELETE", path],
    ] as const) {
      expect((await api(method, at, { token: other.token })).status).toBe(404);
    }
    expect((await api("DELETE", path, { token })).status).toBe(204);
    expect((await api("GET", path, { token })).status).toBe(404);
  });
});

test("log lines have the documented members, and name the request's caller", async () => {
  const wrong = { email: acme.email, password: "a-wrong-password" };
  await api("POST", "/auth/login", { tenant: "acme", body: wrong });
  await api("GET", "/contacts", { token: acme.token });
  const lines = async () => {
    const text = await readFile(`${folder.path}/app.log`, "utf8");
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  };
  const found = (line: object) => expect.poll(lines).toContainEqual(expect.objectContaining(line));
  const user_id = claimsOf(acme.token).sub;
  const info = { level: 30, tenant_id: acme.tenant };
  await found({ ...info, msg: "User logged in successfully", user_id });
  await found({ level: 40, msg: "Failed login attempt", reason: "invalid_password" });
  await found({ ...info, msg: "request", method: "GET", route: "/api/v1/contacts", status: 200 });
});
