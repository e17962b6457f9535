/**
 * A core, and organizations selected by the header `X-TENANT`: the promises of its document from
 * top to bottom. It has no command lines; the requests are derived from its routes and fields.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, clientOf } from "./client.ts";
import { type StartedServer, startServer, temporaryFolder } from "./server.ts";
import { claimsOf, resigned, shellAt } from "./verbatim.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: StartedServer;
let client: Client;
const password = "a-Fine-passphrase-7";
const secret = "the-secret-key-of-its-settings-0123456789";

const start = (env: Readonly<Record<string, string>> = {}) =>
  startServer({
    dataDir: folder.path,
    port: server && Number(new URL(server.url).port),
    env: { RATE_LIMIT_CREDENTIALS: "0", RATE_LIMIT_ANONYMOUS: "0", SECRET_KEY: secret, ...env },
  });

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await start();
  client = clientOf(server.url);
});

afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const register = (email: string, tenant?: string) =>
  client("POST", "/auth/register", { body: { email, password }, ...(tenant && { tenant }) });
const logIn = (email: string, tenant?: string) =>
  client("POST", "/auth/login", { body: { email, password }, ...(tenant && { tenant }) });
const me = (token: string, tenant?: string) =>
  client("GET", "/users/me", { token, ...(tenant && { tenant }) });

/** The token in the e-mail that verifies the address. */
async function mailedToken(email: string): Promise<string> {
  let text = "";
  await expect
    .poll(async () => {
      const { body } = await client("GET", `/api/v1/dev/mails?to=${email}`);
      text = body.items[0]?.text ?? "";
      return text;
    })
    .toContain("token=");
  return /token=([\w.~-]+)/.exec(text)?.[1] ?? "";
}

/** An owner and their organization. */
async function newOrganization(email: string) {
  const { body } = await register(email);
  const token: string = body.access_token;
  const made = await client("POST", "/organizations", { token, body: { name: "Acme" } });
  return { token, number: String(made.body.id) };
}

describe("from the core to an organization's user", () => {
  const [owner, member] = ["owner@core.example", "member@core.example"];
  let core: string;
  let organization: string;
  let token: string;

  test("registering without the header creates a core account, with a token at once", async () => {
    const { status, body } = await register(owner);
    expect([status, body]).toMatchObject([
      201,
      {
        user: { id: uuid, email: owner, is_owner: true, is_verified: false },
        access_token: expect.any(String),
        token_type: "bearer",
      },
    ]);
  });

  test("the mailed token verifies the address once; another one is not found", async () => {
    const mailed = await mailedToken(owner);
    expect((await client("GET", `/auth/verify?token=${mailed}`)).status).toBe(200);
    for (const none of [mailed, "wrong"]) {
      const { status, body } = await client("GET", `/auth/verify?token=${none}`);
      expect([status, body]).toEqual([404, { detail: "Invalid verification token" }]);
    }
  });

  test("a core log-in returns a token that says whether the account owns an organization", async () => {
    const { status, body } = await logIn(owner);
    expect([status, body.token_type]).toEqual([200, "bearer"]);
    core = body.access_token;
    const claims = claimsOf(core);
    expect(claims).toMatchObject({ sub: body.user.id, is_owner: true, exp: expect.any(Number) });
    expect(claims.exp - claims.iat).toBe(15 * 60);
    const { body: shown } = await me(core);
    expect(shown).toMatchObject({ email: owner, is_owner: true, is_verified: true });
  });

  test("an owner creates an organization, the first of which is number 1", async () => {
    const made = await client("POST", "/organizations", { token: core, body: { name: "Acme" } });
    const owner_id = claimsOf(core).sub;
    const created_at = expect.any(String);
    expect([made.status, made.body]).toEqual([201, { id: 1, name: "Acme", owner_id, created_at }]);
    organization = String(made.body.id);
    expect((await client("POST", "/organizations", { body: { name: "B" } })).status).toBe(401);
  });

  test("its owner is a user there, with the same password", async () => {
    const { status, body } = await logIn(owner, organization);
    expect([status, body.user]).toMatchObject([200, { email: owner, is_active: true }]);
  });

  test("registering with the header creates a user of the organization", async () => {
    const { status, body } = await register(member, organization);
    expect([status, body]).toMatchObject([
      201,
      { user: { id: uuid, email: member, is_active: true }, token_type: "bearer" },
    ]);
    token = body.access_token;
    expect(claimsOf(token)).toMatchObject({ sub: body.user.id, exp: expect.any(Number) });
    expect(claimsOf(token)).not.toHaveProperty("is_owner");
    expect((await me(token, organization)).body).toMatchObject({ email: member, is_active: true });
  });

  test("an inactive user can't log in, and is signed out at once", async () => {
    const { body } = await logIn(owner, organization);
    const user = await me(token, organization);
    const path = `/api/v1/users/${user.body.id}`;
    const change = (is_active: boolean) =>
      client("PATCH", path, { token: body.access_token, body: { is_active } });
    expect((await change(false)).status).toBe(200);
    expect((await logIn(member, organization)).status).toBe(401);
    expect((await me(token, organization)).status).toBe(401);
    expect((await change(true)).status).toBe(200);
    token = (await logIn(member, organization)).body.access_token;
  });

  test("an expired token is rejected everywhere", async () => {
    const { exp } = claimsOf(token);
    expect((await me(resigned(token, secret, { exp }), organization)).status).toBe(200);
    const past = Math.floor(Date.now() / 1000) - 60;
    for (const [shown, tenant] of [[token, organization], [core]] as const) {
      const { status, body } = await me(resigned(shown, secret, { exp: past }), tenant);
      expect([status, Object.keys(body)]).toEqual([401, ["detail"]]);
    }
    expect((await me(resigned(token, "another-secret".repeat(4), {}), organization)).status).toBe(
      401,
    );
  });
});

test("the header selects: absent the core, a number an organization, anything else nothing", async () => {
  const { token, number } = await newOrganization("decides@core.example");
  expect((await me(token)).body).toHaveProperty("is_owner");
  const user = await logIn("decides@core.example", number);
  expect((await me(user.body.access_token, number)).body).toHaveProperty("is_active");
  for (const tenant of ["invalid", "999999"]) {
    const body = { email: "nobody@core.example", password };
    expect((await client("POST", "/auth/register", { tenant, body })).status).toBe(403);
    expect((await client("POST", "/auth/login", { tenant, body })).status).toBe(401);
  }
});

describe("a token is valid in its own context only", () => {
  let one: Awaited<ReturnType<typeof newOrganization>>;
  let two: typeof one;
  let member: { readonly access_token: string; readonly user: { readonly id: string } };

  beforeAll(async () => {
    one = await newOrganization("one@core.example");
    two = await newOrganization("two@core.example");
    member = (await register("first@one.example", one.number)).body;
    await register("first@two.example", two.number);
  });

  test("one organization's token is refused by the other", async () => {
    const there = await me(member.access_token, two.number);
    expect([there.status, there.body]).toEqual([403, { detail: "Tenant access denied" }]);
    const { status } = await client("GET", "/api/users", {
      token: member.access_token,
      tenant: two.number,
    });
    expect(status).toBe(403);
  });

  test("a core token is refused in an organization, and vice versa", async () => {
    expect((await me(one.token, one.number)).status).toBe(401);
    const token = member.access_token;
    const made = await client("POST", "/organizations", { token, body: { name: "Mine" } });
    expect(made.status).toBe(401);
  });

  test("a refresh token can't be used as an access token", async () => {
    const body = { email: "first@one.example", password };
    const login = await client("POST", "/api/v1/auth/login", { tenant: one.number, body });
    expect((await me(login.body.access_token, one.number)).status).toBe(200);
    expect((await me(login.body.refresh_token, one.number)).status).toBe(401);
  });

  test("a header that contradicts the host is refused, whoever calls", async () => {
    const key = async ({ number, token }: typeof one) =>
      (await client("GET", `/api/v1/tenants/${number}`, { token })).body.slug;
    const slug = await key(two);
    const [own, foreign] = shellAt(server.url)(
      [two.number, one.number].map(
        (
          number,
        ) => `curl -s -o /dev/null -w '%{http_code}' -X POST http://localhost:8000/auth/login \\
  -H "Host: ${slug}.localhost" -H "X-TENANT: ${number}" -H "Content-Type: application/json" \\
  -d '{"email": "first@two.example", "password": "${password}"}'`,
      ),
    );
    expect([own, foreign]).toEqual(["200", "403"]);
  });
});

test("it reports its own health and its database's", async () => {
  const health = await client("GET", "/health");
  expect(health.body).toEqual({
    status: "healthy",
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
  const database = await client("GET", "/health/db");
  expect([database.status, database.body]).toEqual([200, { database: "healthy" }]);
});

test("its metrics count each request, under their names", async () => {
  const count = async () => {
    const { body } = await client("GET", "/metrics");
    expect(body).toContain("# TYPE http_requests_total counter\n");
    expect(body).toContain("# TYPE http_request_duration_seconds histogram\n");
    const pattern = /^http_requests_total\{method="GET",endpoint="\/health\/db"\} (\d+)$/m;
    return Number(pattern.exec(body)?.[1] ?? 0);
  };
  const before = await count();
  await client("GET", "/health/db");
  await expect.poll(count).toBe(before + 1);
});

test("with required verification, nobody can log in before it", async () => {
  await server.stop();
  server = await start({ EMAIL_VERIFICATION: "required" });
  const email = "unverified@core.example";
  const { status, body } = await register(email);
  expect([status, body.access_token, body.verification_required]).toEqual([201, undefined, true]);
  const refused = await logIn(email);
  expect([refused.status, refused.body.detail]).toEqual([
    401,
    "Wrong e-mail, username or password",
  ]);
  const token = await mailedToken(email);
  expect((await client("GET", `/auth/verify?token=${token}`)).status).toBe(200);
  expect((await logIn(email)).status).toBe(200);
});
