import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../app/app-api.ts";
import { createTestApp } from "../testing/index.ts";
import { type Call, caller } from "./dialect-fixture.ts";

let app: App;
let call: Call;
beforeAll(async () => {
  app = await createTestApp();
  call = caller(app);
});
afterAll(() => app?.close());

const password = "a-Fine-passphrase-7";
const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/);
const someone = () => ({ email: `${crypto.randomUUID()}@example.com`, password });

/** The token that the last mail to the address has. */
async function mailedToken(email: string): Promise<string> {
  await expect
    .poll(async () => (await call("GET", `/api/v1/dev/mails?to=${email}`)).body.items?.length)
    .toBeGreaterThan(0);
  const { body } = await call("GET", `/api/v1/dev/mails?to=${email}`);
  return /token=([\w.~-]+)/.exec(body.items[0].text)?.[1] ?? "";
}

async function owner() {
  const person = someone();
  const { body } = await call("POST", "/auth/register", { body: person });
  return { ...person, token: body.access_token as string, id: body.user.id as string };
}

describe("the full flow", () => {
  it("register, verify, log in, make an organization, register there", async () => {
    const person = someone();
    const registered = await call("POST", "/auth/register", { body: person });
    expect([registered.status, registered.body]).toMatchObject([
      201,
      { user: { id: uuid, email: person.email, is_owner: true, is_verified: false } },
    ]);
    expect(registered.body).toMatchObject({ token_type: "bearer" });

    const token = await mailedToken(person.email);
    expect((await call("GET", `/auth/verify?token=${token}`)).status).toBe(200);
    const again = await call("GET", `/auth/verify?token=${token}`);
    expect([again.status, again.body]).toEqual([404, { detail: "Invalid verification token" }]);

    const login = await call("POST", "/auth/login", { body: person });
    const core = login.body.access_token;
    expect((await call("GET", "/users/me", { token: core })).body).toMatchObject({
      email: person.email,
      is_owner: true,
      is_verified: true,
    });

    const made = await call("POST", "/organizations", { token: core, body: { name: "Acme Inc." } });
    expect([made.status, made.body]).toMatchObject([
      201,
      { id: expect.any(Number), name: "Acme Inc.", owner_id: registered.body.user.id },
    ]);
    const headers = { "x-tenant": String(made.body.id) };
    const [row] = await app.withTenant(
      String(made.body.id),
      ({ db }) => db.sql<{ name: string }>`select current_database() as name`,
    );
    expect(row).toEqual({ name: `tenant_${made.body.id}` });

    // The owner is a user there, with the same password.
    const there = await call("POST", "/auth/login", { headers, body: person });
    expect(there.status).toBe(200);
    const member = someone();
    const joined = await call("POST", "/auth/register", { headers, body: member });
    expect([joined.status, joined.body]).toMatchObject([
      201,
      { user: { email: member.email, is_active: true }, token_type: "bearer" },
    ]);
    const me = await call("GET", "/users/me", { headers, token: joined.body.access_token });
    expect(me.body).toMatchObject({ email: member.email, is_active: true });
  });

  it("is there below /api as well", async () => {
    const person = someone();
    const { body } = await call("POST", "/api/auth/register", { body: person });
    const login = await call("POST", "/api/auth/login", { body: person });
    for (const token of [body.access_token, login.body.access_token]) {
      expect((await call("GET", "/api/users/me", { token })).body.email).toBe(person.email);
    }
    const { status } = await call("POST", "/api/organizations", {
      token: body.access_token,
      body: { name: "!" },
    });
    expect(status).toBe(201);
    expect((await call("GET", "/api/auth/verify?token=x")).status).toBe(404);
  });
});

describe("organizations", () => {
  it("may share a name", async () => {
    const { token } = await owner();
    const ids = [];
    for (let i = 0; i < 3; i += 1) {
      const made = await call("POST", "/organizations", { token, body: { name: "Twins" } });
      expect(made.status).toBe(201);
      ids.push(made.body.id);
    }
    expect(new Set(ids).size).toBe(3);
  });

  it("are made by accounts only", async () => {
    expect((await call("POST", "/organizations", { body: { name: "A" } })).status).toBe(401);
    const { token } = await owner();
    const { body } = await call("POST", "/organizations", { token, body: { name: "Mine" } });
    const headers = { "x-tenant": String(body.id) };
    const joined = await call("POST", "/auth/register", { headers, body: someone() });
    const refused = await call("POST", "/organizations", {
      token: joined.body.access_token,
      body: { name: "B" },
    });
    expect(refused.status).toBe(401);
    expect(Object.keys(refused.body)).toEqual(["detail"]);
  });
});

describe("a token", () => {
  it("is good in its own context only: the core, or one organization", async () => {
    const { token } = await owner();
    const make = async () =>
      (await call("POST", "/organizations", { token, body: { name: "Org" } })).body.id as number;
    const [one, two] = [await make(), await make()];
    const headers = { "x-tenant": String(one) };
    const joined = await call("POST", "/auth/register", { headers, body: someone() });
    const member = joined.body.access_token;
    const elsewhere = { "x-tenant": String(two) };
    expect((await call("GET", "/users/me", { token: member, headers: elsewhere })).status).toBe(
      403,
    );
    for (const path of ["/api/users", "/users/me"]) {
      expect((await call("GET", path, { token, headers })).status).toBe(401);
    }
  });
});

it("an organization that there is not is answered like one to strangers", async () => {
  const named = async (name: string, path: string, body?: object) => {
    const headers = { "x-tenant": name };
    return call(body ? "POST" : "GET", path, { headers, ...(body && { body }) });
  };
  for (const name of ["999999", "invalid"]) {
    expect((await named(name, "/auth/login", someone())).status).toBe(401);
    expect((await named(name, "/auth/register", someone())).status).toBe(403);
    expect((await named(name, "/users/me")).status).toBe(401);
  }
});

it("GET /health and /health/db are as documented", async () => {
  expect((await call("GET", "/health")).body).toMatchObject({ status: "healthy" });
  expect((await call("GET", "/health/db")).body).toMatchObject({ database: "healthy" });
});

describe("what its own code sends beside JSON", () => {
  const form = async (url: string, fields: Record<string, string>, tenant?: number) => {
    const reply = await app.inject({
      method: "POST",
      url,
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        ...(tenant !== undefined && { "x-tenant": String(tenant) }),
      },
      payload: new URLSearchParams(fields).toString(),
    });
    return { status: reply.statusCode, body: reply.json() };
  };

  it.each(["/auth/login", "/api/auth/login"])("logs in by a form at %s", async (path) => {
    const { token, email } = await owner();
    const made = await call("POST", "/organizations", { token, body: { name: "Formal" } });
    const tenant = made.body.id;
    const user = { email: `${crypto.randomUUID()}@example.com`, password };
    const headers = { "x-tenant": String(tenant) };
    await call("POST", "/auth/register", { headers, body: user });
    const fields = { grant_type: "password", username: user.email, password, scope: "" };
    const reply = await form(path, fields, tenant);
    expect(reply).toMatchObject({ status: 200, body: { token_type: "bearer" } });
    const me = await call("GET", "/users/me", { token: reply.body.access_token, headers });
    expect(me.body).toMatchObject({ email: user.email, is_active: true });
    expect((await form(path, { username: email, password })).status).toBe(200);

    expect((await form(path, { ...fields, password: "wrong" }, tenant)).status).toBe(401);
    expect((await form(path, { password }, tenant)).status).toBe(400);
    expect((await form(path, { ...fields, role: "owner" }, tenant)).status).toBe(400);
    expect((await form(path, { ...fields, grant_type: "refresh_token" })).status).toBe(400);
    expect((await form(path, { ...fields, scope: "x".repeat(20_000) })).status).toBe(413);
  });

  it("is refused as a form wherever a route does not say that it takes one", async () => {
    for (const path of ["/auth/register", "/api/v1/auth/login", "/api/auth/signup"]) {
      expect((await form(path, { username: "a", password })).status, path).toBe(415);
    }
  });

  it("makes an organization by ?name=", async () => {
    const { token } = await owner();
    const made = await call("POST", "/organizations?name=Acme%20Ltd", { token });
    expect([made.status, made.body.name]).toEqual([201, "Acme Ltd"]);
    const same = { token, body: { name: "Twice" } };
    expect((await call("POST", "/organizations?name=Twice", same)).status).toBe(201);
    expect((await call("POST", "/organizations?name=Other", same)).status).toBe(400);
    expect((await call("POST", "/organizations", { token })).status).toBe(400);
  });
});
