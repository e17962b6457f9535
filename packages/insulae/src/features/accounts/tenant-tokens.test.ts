import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addressBook } from "../../dialects/address-book.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { standardFeatures } from "../index.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ features: [...standardFeatures, addressBook] });
});
afterAll(() => people?.close());

type Account = Awaited<ReturnType<TestPeople["newAccount"]>>;

const auth = "/api/v1/auth";
const me = (token: string) => people.get(`${auth}/me`, { token });
const ask = (token: string, tenant: string) =>
  people.post(`${auth}/tenant-tokens`, { token, body: { tenant } });
const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;
const withoutId = ({ request_id: _id, ...problem }: Record<string, unknown>) => problem;

/** An account that owns a tenant, signed in at the platform, and its token for the tenant. */
async function setUp(more: Parameters<TestPeople["newTenant"]>[0] = {}) {
  const tenant = await people.newTenant(more);
  const { account, token } = await people.newAccount();
  await people.makeOwner(tenant, account);
  const { status, body } = await ask(token, tenant.key);
  expect(status, JSON.stringify(body)).toBe(200);
  const userId = String(decodeJwt(body.access_token).sub) as UserId;
  return { tenant, account, userId, core: token, token: body.access_token as string };
}

/** What another node or feature does to a user. */
async function changeUser({ tenant, userId }: Pick<Person, "tenant" | "userId">, change: string) {
  await people.app.withTenant(tenant, async ({ db, forgetUser }) => {
    await db.query(`${change} where id = $1`, [userId]);
    await forgetUser(userId);
  });
}

type Person = Awaited<ReturnType<typeof setUp>>;

/** Refused on this node at once, and on another one within a second. */
async function isOver(token: string) {
  await expect
    .poll(async () => outcome(await me(token)), { timeout: 1_000, interval: 10 })
    .toBe("invalid_token");
}

describe("a tenant token", () => {
  it("is good in its tenant, names its session at the platform, and has no refresh token", async () => {
    const { tenant, account, core } = await setUp();
    const { body } = await ask(core, tenant.id);
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: "Bearer",
      expires_in: expect.any(Number),
      tenant: expect.objectContaining({ id: tenant.id, key: tenant.key, name: tenant.name }),
      permissions: expect.arrayContaining(["users:read", "tenants:manage"]),
    });
    const [claims, own] = [decodeJwt(body.access_token), decodeJwt(core)];
    expect(claims).toMatchObject({ sid: own.sid, tenant_id: tenant.id, role: "owner" });
    const known = await me(body.access_token);
    expect(known.body).toMatchObject({
      user: { email: account.email },
      tenant: { id: tenant.id },
      role: "owner",
      permissions: body.permissions,
    });
    expect((await people.get("/api/v1/users", { token: body.access_token })).status).toBe(200);
  });

  it("lets one browser be in two tenants at once, and leaves its cookie as it is", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const { account } = await people.newAccount();
    for (const tenant of [one, two]) await people.makeOwner(tenant, account);
    const browser = await openBrowser(account.email);
    const tabs = await Promise.all([browser.ask(one), browser.ask(two)]);
    expect(tabs.map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    for (const [index, tenant] of [one, two].entries()) {
      expect(tabs[index]?.headers).not.toHaveProperty("set-cookie");
      const { body } = await me(tabs[index]?.json().access_token);
      expect(body.tenant.id).toBe(tenant.id);
    }
    expect((await browser.me()).json().tenant).toBeNull();
    const forged = await browser.ask(one, { "x-csrf-token": "" });
    expect(forged.json().code).toBe("csrf_refused");
    await browser.logOut();
    for (const tab of tabs) await isOver(tab.json().access_token);
  });

  it("is refused at another tenant", async () => {
    const { token } = await setUp();
    const { tenant: other, token: foreign } = await setUp();
    const by = await people.get("/api/v1/users", { token, tenant: other.key });
    expect(outcome(by)).toBe("tenant_access_denied");
    const host = `${other.slug}.${new URL(people.app.config.baseUrl).hostname}`;
    const headers = { authorization: `Bearer ${token}`, host };
    const at = await people.app.inject({ url: "/api/v1/users", headers });
    expect(at.json().code).toBe("tenant_access_denied");
    expect(outcome(await people.get("/api/v1/users", { token: foreign }))).toBe("done");
  });

  it("is in the tenant's audit log when the session enters, not when the token is renewed", async () => {
    const { tenant, userId, core } = await setUp();
    expect(outcome(await ask(core, tenant.key))).toBe("done");
    const entries = await people.onTenant(tenant, (db) =>
      db.query("select * from audit_log where action = 'auth.tenant_token_issued'"),
    );
    expect(entries).toMatchObject([{ actor_kind: "user", actor_id: userId }]);
  });

  it("is for accounts at the platform only: no user, tenant token, machine or stranger gets one", async () => {
    const { tenant, token } = await setUp();
    const { token: own } = await people.register(tenant);
    expect(outcome(await ask(own, tenant.key))).toBe("wrong_context");
    expect(outcome(await ask(token, tenant.key))).toBe("wrong_context");
    const nobody = await people.post(`${auth}/tenant-tokens`, { body: { tenant: tenant.key } });
    expect(outcome(nobody)).toBe("authentication_required");
  });

  it("says nothing about tenants that the account is not in", async () => {
    const { core } = await setUp();
    const { tenant: foreign } = await setUp();
    await people.suspend(foreign);
    const administrator = await people.admin();
    for (const token of [core, administrator.token]) {
      const [there, nowhere] = [await ask(token, foreign.key), await ask(token, "no_such_tenant")];
      expect(there).toMatchObject({ status: 404, body: { code: "tenant_not_found" } });
      expect(withoutId(there.body)).toEqual(withoutId(nowhere.body));
    }
  });
});

describe("a tenant token ends", () => {
  it("with its session, on every node", async () => {
    const { core, token } = await setUp();
    const node = await people.openNode();
    try {
      const there = async () => {
        const headers = { authorization: `Bearer ${token}` };
        return (await node.inject({ url: `${auth}/me`, headers })).statusCode;
      };
      expect(await there()).toBe(200);
      await people.post(`${auth}/logout`, { token: core });
      expect(outcome(await me(token))).toBe("invalid_token");
      await expect.poll(there, { timeout: 1_000, interval: 10 }).toBe(401);
    } finally {
      await node.close();
    }
  });

  it("by its own log-out, which ends the session and all tokens of it", async () => {
    const { tenant, core, token } = await setUp();
    const { body } = await ask(core, tenant.key);
    expect((await people.post(`${auth}/logout`, { token })).status).toBe(204);
    for (const each of [token, body.access_token, core]) await isOver(each);
  });

  it("before its session does", async () => {
    const { account, tenant } = await setUp();
    const browser = await openBrowser(account.email);
    const id = (await browser.sessions())[0].id as string;
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.sessions")
        .set({ expires_at: new Date(Date.now() + 60_000) })
        .where("id", "=", id)
        .execute(),
    );
    const { access_token, expires_in } = (await browser.ask(tenant)).json();
    expect(expires_in).toBeLessThanOrEqual(60);
    expect((decodeJwt(access_token).exp ?? 0) * 1000).toBeLessThanOrEqual(Date.now() + 61_000);
  });

  it.each<[string, (person: Person) => Promise<unknown>]>([
    ["logs out everywhere", ({ core }) => people.post(`${auth}/logout-all`, { token: core })],
    ["changes the password", ({ core }) => changePassword(core)],
    ["is deactivated", ({ account }) => people.deactivateAccount(account.id)],
    ["is no longer a member", (person) => changeUser(person, "delete from users")],
    [
      "is deactivated in the tenant",
      (person) => changeUser(person, "update users set is_active = false"),
    ],
    [
      "has not proved the second factor that the tenant requires from now on",
      ({ tenant }) =>
        people.app.tenants.update(tenant.id, { settings: { second_factor: "required" } }),
    ],
  ])("when its holder %s", async (_what, change) => {
    const person = await setUp();
    await change(person);
    await isOver(person.token);
  });

  it("when the tenant is suspended", async () => {
    const { tenant, token, core } = await setUp();
    await people.suspend(tenant);
    await expect.poll(async () => outcome(await me(token))).toBe("tenant_inactive");
    expect(outcome(await ask(core, tenant.key))).toBe("tenant_inactive");
  });

  it("and loses permissions with its holder, at once", async () => {
    const person = await setUp();
    await changeUser(person, "update users set role = 'viewer'");
    const read = await people.get("/api/v1/audit", { token: person.token });
    expect(outcome(read)).toBe("permission_denied");
  });
});

describe("a tenant token is not issued", () => {
  it.each([
    ["second_factor_needed", { second_factor: "required" }],
    ["email_not_verified", { email_verification: "required" }],
  ])("where a switch is refused: %s", async (code, settings) => {
    const tenant = await people.newTenant({ settings });
    const { account, token } = await people.newAccount();
    await people.makeOwner(tenant, account);
    expect(outcome(await ask(token, tenant.key))).toBe(code);
  });

  it("by a password where the tenant accepts none, but to its owner", async () => {
    const { tenant, userId, core } = await setUp();
    await people.app.tenants.update(tenant.id, { settings: { password_login: "off" } });
    expect(outcome(await ask(core, tenant.key))).toBe("done");
    await changeUser({ tenant, userId }, "update users set role = 'admin'");
    expect(outcome(await ask(core, tenant.key))).toBe("password_login_off");
  });

  it("from a session that has ended, however recently", async () => {
    const { tenant, core } = await setUp();
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.sessions")
        .set({ expires_at: new Date(Date.now() - 1_000) })
        .where("id", "=", String(decodeJwt(core).sid))
        .execute(),
    );
    expect(outcome(await ask(core, tenant.key))).toBe("invalid_token");
  });
});

describe("a tenant token opens no session", () => {
  it("by a switch, a refresh, another password, a factor or an invitation", async () => {
    const { tenant, token } = await setUp();
    const refused = async (path: string, body: object) => {
      const reply = await people.post(`${auth}/${path}`, { token, body });
      expect(outcome(reply), path).toBe("tenant_token_refused");
    };
    await refused("switch", { tenant: null });
    await refused("switch", { tenant: tenant.key });
    await refused("factors", { totp: { token: "x", code: "000000" } });
    await refused("factors/recovery-codes", {});
    const change = { current_password: people.password, new_password: `${people.password}!` };
    await refused("password-change", change);
    const removed = await people.delete(`${auth}/factors/${crypto.randomUUID()}`, { token });
    expect(outcome(removed)).toBe("tenant_token_refused");
    const invited = await people.post("/api/v1/invitations/accept", {
      token,
      body: { invitation_id: crypto.randomUUID() },
    });
    expect(outcome(invited)).toBe("tenant_token_refused");
    const refreshed = await people.post("/api/auth/refresh", { token, body: {} });
    expect(refreshed.status, refreshed.text).toBe(403);
    expect(refreshed.text).not.toContain("refresh_token");
    expect(outcome(await me(token))).toBe("done");
  });
});

const changePassword = (token: string) =>
  people.post(`${auth}/password-change`, {
    token,
    body: { current_password: people.password, new_password: `${people.password}!` },
  });

/** Signed in at the platform by a cookie. */
async function openBrowser(email: Account["account"]["email"]) {
  const host = new URL(people.app.config.baseUrl).host;
  const admin = await people.app.inject({
    method: "POST",
    url: `${auth}/login`,
    headers: { host },
    payload: { email, password: people.password, session: "cookie" },
  });
  let { csrf_token: csrf } = admin.json();
  let cookie = String(admin.headers["set-cookie"]).split(";")[0] ?? "";
  const send = (
    method: "GET" | "POST",
    path: string,
    payload?: object,
    headers: Record<string, string> = {},
  ) =>
    people.app.inject({
      method,
      url: `${auth}${path}`,
      headers: { host, cookie, "x-csrf-token": csrf, ...headers },
      ...(payload && { payload }),
    });
  if (admin.json().tenant !== null) {
    // An account in one tenant is signed in there.
    const switched = await send("POST", "/switch", { tenant: null });
    csrf = switched.json().csrf_token;
    cookie = String(switched.headers["set-cookie"]).split(";")[0] ?? "";
  }
  return {
    ask: (tenant: Tenant, headers?: Record<string, string>) =>
      send("POST", "/tenant-tokens", { tenant: tenant.key }, headers),
    me: () => send("GET", "/me"),
    sessions: async () => (await send("GET", "/sessions")).json().items,
    logOut: () => send("POST", "/logout"),
  };
}
