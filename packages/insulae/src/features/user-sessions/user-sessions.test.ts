import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TenantId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;
const me = async (token: string) => outcome(await people.get("/api/v1/auth/me", { token }));
const sessionsOf = (token: string, id: string) =>
  people.get(`/api/v1/users/${id}/sessions`, { token });
const end = (token: string, id: string) => people.delete(`/api/v1/users/${id}/sessions`, { token });
const signIns = (token: string, ...ids: string[]) =>
  people.get(`/api/v1/users/sign-ins?ids=${ids.join()}`, { token });

async function setUp() {
  const tenant = await people.newTenant();
  const owner = await people.newOwner(tenant);
  const add = (role: string) => people.addUser(tenant, owner, { role, password: people.password });
  return { tenant, owner, admin: await add("admin"), ada: await add("user") };
}

const change = (tenant: Tenant, id: string, assignment: string) =>
  people.app.withTenant(tenant, async ({ db, forgetUser }) => {
    await db.query(`update users set ${assignment} where id = $1`, [id]);
    await forgetUser(id);
  });

describe("a user's sessions", () => {
  it("are listed to administrators, in pages, and say which is the caller's", async () => {
    const { tenant, admin, ada } = await setUp();
    await people.logIn(tenant, ada.user.email);
    const { status, body } = await sessionsOf(admin.token, ada.user.id);
    expect(status).toBe(200);
    expect(body.items).toHaveLength(2);
    expect(body.items[0]).toMatchObject({ kind: "token", current: false, impersonated: false });
    const path = `/api/v1/users/${ada.user.id}/sessions`;
    const first = await people.get(`${path}?limit=1`, { token: admin.token });
    const next = `${path}?limit=1&cursor=${first.body.next_cursor}`;
    const second = await people.get(next, { token: admin.token });
    expect([...first.body.items, ...second.body.items]).toEqual(body.items);
    const own = await sessionsOf(admin.token, admin.user.id);
    expect(own.body.items).toMatchObject([{ current: true }]);
  });

  it("are none of somebody inactive, and no other tenant's", async () => {
    const { tenant, admin, ada } = await setUp();
    const { admin: stranger } = await setUp();
    await change(tenant, ada.user.id, "is_active = false");
    expect((await sessionsOf(admin.token, ada.user.id)).body.items).toEqual([]);
    for (const ask of [sessionsOf, end]) {
      expect(outcome(await ask(stranger.token, ada.user.id))).toBe("user_not_found");
      expect(outcome(await ask(ada.token, ada.user.id))).not.toBe("done");
    }
  });

  it("are nothing for whoever may only see users, or has no tenant", async () => {
    const { admin, ada } = await setUp();
    const { token } = await people.newAccount();
    for (const ask of [sessionsOf, end, signIns]) {
      expect(outcome(await ask(ada.token, admin.user.id))).toBe("permission_denied");
      expect((await ask(token, admin.user.id)).status).toBeGreaterThanOrEqual(401);
    }
  });

  it("end at once with their refresh tokens and tenant tokens, and leave the others'", async () => {
    const { tenant, owner, admin, ada } = await setUp();
    const tokenOf = await tenantTokenOf(tenant, owner.account.email);
    expect(outcome(await end(admin.token, ada.user.id))).toBe("done");
    expect(await me(ada.token)).toBe("invalid_token");
    const body = { refresh_token: ada.refreshToken };
    expect(outcome(await people.post("/api/v1/auth/refresh", { body }))).toBe("invalid_token");
    expect((await sessionsOf(admin.token, ada.user.id)).body.items).toEqual([]);
    expect(await me(tokenOf.token)).toBe("done");
    expect(outcome(await end(owner.token, owner.user.id))).toBe("done");
    expect(await me(tokenOf.token)).toBe("invalid_token");
    expect(await me(tokenOf.core)).toBe("done");
    const entries = await people.onTenant(tenant, (db) =>
      db.query("select * from audit_log where action = 'user.sessions_ended' order by seq"),
    );
    expect(entries).toMatchObject([
      { actor_id: admin.user.id, target_id: ada.user.id },
      { actor_id: owner.user.id, target_id: owner.user.id },
    ]);
  });

  it("are not ended by somebody of a lower role", async () => {
    const { owner, admin } = await setUp();
    expect(outcome(await end(admin.token, owner.user.id))).toBe("role_above_own");
    expect(await me(owner.token)).toBe("done");
  });
});

describe("users' sign-ins", () => {
  it("say who is linked, has a second factor, and when they were last seen", async () => {
    const { tenant, owner, admin, ada } = await setUp();
    const { user: silent } = await people.addUser(tenant, owner, {});
    await addFactor(tenant.id, ada.user.id);
    const asked = [owner.user.id, ada.user.id, silent.id];
    const { status, body } = await signIns(admin.token, ...asked);
    expect(status, JSON.stringify(body)).toBe(200);
    const seen = expect.stringMatching(/Z$/);
    expect(body.items).toEqual([
      { user_id: silent.id, linked: false, has_factor: false, last_seen_at: null },
      { user_id: ada.user.id, linked: false, has_factor: true, last_seen_at: seen },
      { user_id: owner.user.id, linked: true, has_factor: false, last_seen_at: seen },
    ]);
  });

  it("of a linked user have the account's factor, and what they do by a tenant token", async () => {
    const { tenant, admin } = await setUp();
    const { account, token } = await people.newAccount();
    await people.makeOwner(tenant, account);
    const body = { tenant: tenant.key };
    const before = Date.now();
    const issued = await people.post("/api/v1/auth/tenant-tokens", { token, body });
    await addFactor(null, account.id);
    const { user } = (await people.get("/api/v1/auth/me", { token: issued.body.access_token }))
      .body;
    const found = await signIns(admin.token, user.id);
    expect(found.body.items).toMatchObject([{ linked: true, has_factor: true }]);
    expect(Date.parse(found.body.items[0].last_seen_at)).toBeGreaterThan(before - 60_000);
  });

  it("do not count somebody else's attempts, nor an administrator who acts as them", async () => {
    const { tenant, owner, admin } = await setUp();
    const { user } = await people.addUser(tenant, owner, {});
    const wrong = { email: user.email, password: "not the right one" };
    await people.post("/api/v1/auth/login", { tenant: tenant.key, body: wrong });
    const { account } = await people.admin();
    const body = { email: account.email, password: people.password };
    const { token } = (await people.post("/api/v1/auth/login", { body })).body;
    const acting = await people.post("/api/v1/platform/impersonations", {
      token,
      body: { tenant: tenant.key, user_id: user.id, reason: "Ticket 42", minutes: 5 },
    });
    expect(acting.status).toBe(201);
    expect((await signIns(admin.token, user.id)).body.items).toMatchObject([
      { last_seen_at: null },
    ]);
  });

  it("are of the tenant's own users only, and of a hundred at most", async () => {
    const { ada, admin } = await setUp();
    const { admin: stranger } = await setUp();
    const foreign = await signIns(stranger.token, ada.user.id, stranger.user.id);
    expect(foreign.body.items).toMatchObject([{ user_id: stranger.user.id }]);
    const many = Array.from({ length: 101 }, () => ada.user.id);
    expect((await signIns(admin.token, ...many)).status).toBe(400);
    expect((await signIns(admin.token, "x")).status).toBe(400);
  });
});

/** As if an app had been set up. */
const addFactor = (tenantId: TenantId | null, subjectId: string) =>
  people.onPlatform(({ control }) =>
    control
      .insertInto("control.factors")
      .values({
        tenant_id: tenantId,
        subject_id: subjectId,
        kind: "totp",
        name: "App",
        sealed_secret: "x",
        last_step: 1,
      })
      .execute(),
  );

/** Signed in at the platform, and with a token for the tenant that depends on that session. */
async function tenantTokenOf(tenant: Tenant, email: string) {
  const body = { email, password: people.password };
  const signedIn = await people.post("/api/v1/auth/login", { body });
  const atPlatform = { token: signedIn.body.token, body: { tenant: null } };
  const core = (await people.post("/api/v1/auth/switch", atPlatform)).body.token as string;
  const given = { token: core, body: { tenant: tenant.key } };
  const { access_token } = (await people.post("/api/v1/auth/tenant-tokens", given)).body;
  return { core, token: access_token as string };
}
