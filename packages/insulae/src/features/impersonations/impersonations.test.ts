import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { masterTenant } from "../../dialects/master-tenant.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ features: [masterTenant] });
});
afterAll(() => people?.close());

type Owner = Awaited<ReturnType<TestPeople["newOwner"]>>;

async function newTenant(): Promise<{ tenant: Tenant; owner: Owner }> {
  const tenant = await people.newTenant();
  return { tenant, owner: await people.newOwner(tenant) };
}

/** A platform administrator, signed in. */
async function newAdministrator() {
  const { account } = await people.admin();
  const body = { email: account.email, password: people.password };
  const { body: signedIn } = await people.post("/api/v1/auth/login", { body });
  return { account, token: signedIn.token as string };
}

const begin = ({ token }: { token: string }, tenant: Tenant, user: { id: string }, more = {}) =>
  people.post("/api/v1/platform/impersonations", {
    token,
    body: { tenant: tenant.key, user_id: user.id, reason: "Ticket 42", minutes: 10, ...more },
  });

async function setUp() {
  const [{ tenant, owner }, administrator] = await Promise.all([newTenant(), newAdministrator()]);
  const { status, body } = await begin(administrator, tenant, owner.user);
  expect(status, JSON.stringify(body)).toBe(201);
  return { tenant, owner, administrator, acting: body as { id: string; token: string } };
}

const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;
const me = (token: string) => people.get("/api/v1/auth/me", { token });

describe("an impersonation", () => {
  it("lets an administrator act as a user, for a while, in that tenant only", async () => {
    const { tenant, owner } = await newTenant();
    const { owner: stranger, tenant: elsewhere } = await newTenant();
    const administrator = await newAdministrator();
    const { status, body } = await begin(administrator, tenant, owner.user);
    expect(status).toBe(201);
    expect(body).toMatchObject({ user: { id: owner.user.id }, tenant: { id: tenant.id } });
    expect(body).not.toHaveProperty("refresh_token");
    expect(body.expires_in).toBeLessThanOrEqual(600);
    expect(Date.parse(body.ends_at) - Date.now()).toBeGreaterThan(500_000);
    expect(Date.parse(body.ends_at) - Date.now()).toBeLessThanOrEqual(600_000);
    const [, payload = ""] = body.token.split(".");
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
    expect(claims).toMatchObject({
      sub: owner.user.id,
      tenant_id: tenant.id,
      sid: body.id,
      act: { sub: administrator.account.id },
    });
    expect(claims.exp).toBeLessThanOrEqual(Math.ceil(Date.parse(body.ends_at) / 1000));
    expect((await people.get("/api/v1/users", { token: body.token })).status).toBe(200);
    const other = await people.get("/api/v1/users", { token: body.token, tenant: elsewhere.key });
    expect(outcome(other)).toBe("tenant_access_denied");
    expect(stranger.user.id).not.toBe(owner.user.id);
  });

  it("is marked: in auth/me, in the audit logs of tenant and platform, in the log", async () => {
    const { tenant, owner, administrator, acting } = await setUp();
    expect((await me(acting.token)).body.impersonator).toEqual({
      id: administrator.account.id,
      email: administrator.account.email,
    });
    expect((await me(owner.token)).body).not.toHaveProperty("impersonator");

    const { user } = await people.addUser(tenant, owner, {});
    const dropped = await people.delete(`/api/v1/users/${user.id}`, { token: acting.token });
    expect(dropped.status).toBe(204);
    const entries = await people.app.withTenant(tenant, ({ db }) =>
      db.query("select * from audit_log order by seq"),
    );
    expect(entries.find(({ action }) => action === "impersonation.started")).toMatchObject({
      actor_kind: "account",
      actor_id: administrator.account.id,
      target_id: owner.user.id,
      detail: { reason: "Ticket 42", minutes: 10, impersonation_id: acting.id },
    });
    expect(entries.find(({ action }) => action === "user.deleted")).toMatchObject({
      actor_kind: "user",
      actor_id: owner.user.id,
      impersonator: administrator.account.id,
    });
    const ofPlatform = await people.app.withPlatform("a test", ({ control }) =>
      control
        .selectFrom("control.audit_log")
        .selectAll()
        .where("action", "=", "impersonation.started")
        .where("target_id", "=", owner.user.id)
        .execute(),
    );
    expect(ofPlatform).toMatchObject([{ actor_id: administrator.account.id }]);
    const line = people
      .logLines()
      .findLast(({ route, user_id }) => route === "/api/v1/users/:id" && user_id === owner.user.id);
    expect(line).toMatchObject({ impersonator_id: administrator.account.id });
  });

  it("is seen by the tenant's admins, and by no other tenant", async () => {
    const { tenant, owner, administrator, acting } = await setUp();
    const shown = {
      id: acting.id,
      tenant_id: tenant.id,
      user_id: owner.user.id,
      user_name: null,
      user_email: owner.user.email,
      administrator_id: administrator.account.id,
      administrator_email: administrator.account.email,
      reason: "Ticket 42",
      created_at: expect.any(String),
      ends_at: expect.any(String),
      ended_at: null,
    };
    const list = await people.get("/api/v1/impersonations", { token: owner.token });
    expect(list.body).toEqual({ items: [shown], next_cursor: null });
    const { owner: stranger } = await newTenant();
    const foreign = await people.get("/api/v1/impersonations", { token: stranger.token });
    expect(foreign.body.items).toEqual([]);
    const all = await people.get("/api/v1/platform/impersonations?limit=1", {
      token: administrator.token,
    });
    expect(all.body).toEqual({ items: [shown], next_cursor: expect.any(String) });
  });

  it("is found by its tenant, and by whether it is running", async () => {
    const [{ tenant, owner, administrator, acting }, other] = [await setUp(), await setUp()];
    const ids = async (query: string, token = administrator.token, path = "platform/") => {
      const { body } = await people.get(`/api/v1/${path}impersonations${query}`, { token });
      return body.items?.map(({ id }: { id: string }) => id) ?? body.code;
    };
    expect(await ids(`?tenant=${tenant.key}`)).toEqual([acting.id]);
    expect(await ids(`?tenant=${tenant.key}&active=false`)).toEqual([]);
    expect(await ids("?active=true")).toEqual(expect.arrayContaining([acting.id, other.acting.id]));
    expect(await ids("?tenant=no_such_tenant")).toBe("tenant_not_found");
    await people.delete(`/api/v1/platform/impersonations/${acting.id}`, {
      token: administrator.token,
    });
    expect(await ids("?active=true")).not.toContain(acting.id);
    expect(await ids("?active=false", owner.token, "")).toEqual([acting.id]);
    expect(await ids("?active=true", owner.token, "")).toEqual([]);
  });

  it("shows no name of a user who is gone", async () => {
    const { tenant, owner } = await newTenant();
    const administrator = await newAdministrator();
    const { user } = await people.addUser(tenant, owner, { first_name: "Grace" });
    await begin(administrator, tenant, user);
    const list = () => people.get("/api/v1/impersonations", { token: owner.token });
    expect((await list()).body.items).toMatchObject([{ user_name: "Grace" }]);
    await people.delete(`/api/v1/users/${user.id}`, { token: owner.token });
    expect((await list()).body.items).toMatchObject([{ user_name: null, user_email: null }]);
  });

  it("is never longer than an hour, and never without a reason", async () => {
    const { tenant, owner } = await newTenant();
    const administrator = await newAdministrator();
    for (const more of [{ minutes: 61 }, { minutes: 0 }, { reason: " " }, { reason: undefined }]) {
      expect((await begin(administrator, tenant, owner.user, more)).status).toBe(400);
    }
  });

  it("is of somebody who is there: an active user of an active tenant", async () => {
    const { tenant, owner } = await newTenant();
    const { owner: stranger } = await newTenant();
    const administrator = await newAdministrator();
    const { user: retired } = await people.addUser(tenant, owner, { role: "user" });
    await people.patch(`/api/v1/users/${retired.id}`, {
      token: owner.token,
      body: { is_active: false },
    });
    for (const user of [stranger.user, retired, { id: randomUUID() }]) {
      expect(outcome(await begin(administrator, tenant, user))).toBe("user_not_found");
    }
    await people.suspend(tenant);
    expect(outcome(await begin(administrator, tenant, owner.user))).toBe("tenant_inactive");
  });

  it("gives further access tokens until it ends, to the administrator who began it", async () => {
    const { administrator, acting, owner } = await setUp();
    const path = `/api/v1/platform/impersonations/${acting.id}/token`;
    const renewed = await people.post(path, { token: administrator.token });
    expect(renewed.status).toBe(200);
    expect((await me(renewed.body.token)).body).toMatchObject({
      user: { id: owner.user.id },
      impersonator: { id: administrator.account.id },
    });
    const another = await newAdministrator();
    expect(outcome(await people.post(path, { token: another.token }))).toBe(
      "impersonation_not_found",
    );
    await people.delete(`/api/v1/platform/impersonations/${acting.id}`, {
      token: administrator.token,
    });
    expect(outcome(await people.post(path, { token: administrator.token }))).toBe(
      "impersonation_over",
    );
    expect((await me(renewed.body.token)).status).toBe(401);
  });
});

describe("an impersonation ends", () => {
  const endedAt = async (owner: Owner) =>
    (await people.get("/api/v1/impersonations", { token: owner.token })).body.items[0].ended_at;

  it("by the tenant's owner, on every node within a second, and both logs say so", async () => {
    const { tenant, owner, acting } = await setUp();
    const node = await people.openNode();
    try {
      const headers = { authorization: `Bearer ${acting.token}` };
      const status = async () => (await node.inject({ url: "/api/v1/users", headers })).statusCode;
      expect(await status()).toBe(200);
      const path = `/api/v1/impersonations/${acting.id}`;
      expect((await people.delete(path, { token: owner.token })).status).toBe(204);
      await expect.poll(status, { timeout: 1_000, interval: 20 }).toBe(401);
    } finally {
      await node.close();
    }
    expect(await endedAt(owner)).not.toBeNull();
    const [entry] = await people.app.withTenant(tenant, ({ db }) =>
      db.query("select * from audit_log where action = 'impersonation.ended'"),
    );
    expect(entry).toMatchObject({ actor_id: owner.user.id, target_id: owner.user.id });
  });

  it("not by an admin, and not by another tenant's owner", async () => {
    const { tenant, owner, acting } = await setUp();
    const { owner: stranger } = await newTenant();
    const admin = await people.addUser(tenant, owner, {
      role: "admin",
      password: people.password,
    });
    const end = async ({ token }: { token: string }) =>
      outcome(await people.delete(`/api/v1/impersonations/${acting.id}`, { token }));
    expect(await end(admin)).toBe("permission_denied");
    expect(await end(stranger)).toBe("impersonation_not_found");
    expect((await me(acting.token)).status).toBe(200);
  });

  it("by a log-out of whoever acts", async () => {
    const { owner, acting } = await setUp();
    expect((await people.post("/api/v1/auth/logout", { token: acting.token })).status).toBe(204);
    expect((await me(acting.token)).status).toBe(401);
    expect(await endedAt(owner)).not.toBeNull();
  });

  const changeAccount = (id: AccountId, values: object) =>
    people.app.withPlatform("a test", ({ control }) =>
      control.updateTable("control.accounts").set(values).where("id", "=", id).execute(),
    );

  it.each([
    ["is an administrator no more", { platform_admin: false }],
    ["is switched off", { is_active: false }],
    ["gets another password", { password_hash: "x" }],
    ["is logged out everywhere", { sessions_valid_from: new Date(Date.now() + 1_000) }],
  ])("when the administrator %s", async (_how, values) => {
    const { administrator, acting } = await setUp();
    expect((await me(acting.token)).status).toBe(200);
    await changeAccount(administrator.account.id, values);
    const status = async () => (await me(acting.token)).status;
    await expect.poll(status, { timeout: 1_000, interval: 20 }).toBe(401);
  });

  it("when the user is switched off", async () => {
    const { tenant, owner, administrator } = await setUp();
    const { user } = await people.addUser(tenant, owner, { role: "user" });
    const { body } = await begin(administrator, tenant, user);
    expect((await me(body.token)).status).toBe(200);
    await people.patch(`/api/v1/users/${user.id}`, {
      token: owner.token,
      body: { is_active: false },
    });
    expect((await me(body.token)).status).toBe(401);
  });
});

describe("who acts as somebody else", () => {
  it("can't do what only the person themself may", async () => {
    const { acting } = await setUp();
    const { token } = acting;
    const password = { current_password: people.password, new_password: "another fine one 12" };
    const attempts = [
      people.post("/api/v1/auth/password-change", { token, body: password }),
      people.post("/api/v1/auth/switch", { token, body: { tenant: null } }),
      people.post("/api/v1/auth/logout-all", { token }),
      people.get("/api/v1/auth/sessions", { token }),
      people.post("/api/v1/api-keys", { token, body: { name: "X", scopes: ["users:read"] } }),
      people.delete(`/api/v1/impersonations/${acting.id}`, { token }),
    ];
    for (const attempt of attempts) expect(outcome(await attempt)).toBe("personal_only");
  });

  it("makes nothing that gives access after the impersonation, as API keys still may", async () => {
    const { tenant, owner, acting } = await setUp();
    const { user } = await people.addUser(tenant, owner, {});
    const made = await people.post("/api/v1/roles", {
      token: owner.token,
      body: { name: "Extra" },
    });
    const hook = { url: "https://hooks.example.com/a", events: ["user.created"] };
    const ask = async ({ token }: { token: string }) => {
      const post = (path: string, body: object) => people.post(`/api/v1${path}`, { token, body });
      const email = people.newEmail();
      return [
        await post("/users", { email, password: people.password, role: "admin" }),
        await people.post("/api/users", { token, body: { email: people.newEmail() } }),
        await people.patch("/api/users", {
          token,
          body: { id: user.id, email: people.newEmail() },
        }),
        await people.patch(`/api/v1/users/${user.id}`, { token, body: { role: "admin" } }),
        await post(`/users/${user.id}/roles`, { role: "admin" }),
        await people.put(`/api/v1/roles/${made.body.id}`, { token, body: { name: "Other" } }),
        await post(`/roles/${made.body.id}/permissions`, { permission: "users:write" }),
        await post("/invitations", { email: people.newEmail() }),
        await post(`/invitations/${randomUUID()}/resend`, {}),
        await post("/webhooks", hook),
        await people.patch(`/api/v1/webhooks/${randomUUID()}`, { token, body: hook }),
        await post(`/webhooks/${randomUUID()}/rotate-secret`, {}),
        await post("/email-domains", { domain: `d${randomUUID()}.example` }),
        await post("/email-domains/acme.example/verify", {}),
      ];
    };
    for (const { status, body } of await ask(acting)) {
      expect({ status, body }).toMatchObject({ status: 403 });
      expect(body.code ?? "personal_only").toBe("personal_only");
    }
    const scopes = ["users:write", "roles:write", "webhooks:write", "tenants:manage"];
    const body = { name: "A machine", scopes };
    const { body: key } = await people.post("/api/v1/api-keys", { token: owner.token, body });
    for (const reply of await ask({ token: key.key })) {
      expect(outcome(reply)).not.toBe("personal_only");
    }
  });

  it("has no refresh token, and can't use the platform's routes", async () => {
    const { tenant, owner, acting } = await setUp();
    expect((await begin(acting, tenant, owner.user)).status).toBe(403);
    const list = await people.get("/api/v1/platform/impersonations", { token: acting.token });
    expect(list.status).toBe(403);
  });
});

describe("nobody but an administrator of the platform", () => {
  it("may act as somebody else: not a tenant's owner, not another account (attack 51)", async () => {
    const { tenant, owner } = await newTenant();
    const account = await people.newAccount();
    for (const who of [owner, account]) {
      expect(outcome(await begin(who, tenant, owner.user))).toBe("permission_denied");
    }
    expect((await begin({ token: "" }, tenant, owner.user)).status).toBe(401);
  });
});
