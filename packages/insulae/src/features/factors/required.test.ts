import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { addApp, auth, codeOf, logIn, secondFactor, stopClock } from "./factors-fixture.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());
stopClock();

const me = (token: string) => people.get(`${auth}/me`, { token });
const refresh = (refresh_token: string) =>
  people.post(`${auth}/refresh`, { body: { refresh_token } });

describe("a tenant that asks for a second factor", () => {
  it("lets somebody without one set one up, and do nothing else", async () => {
    const tenant = await people.newTenant();
    const { user, token, refreshToken } = await people.register(tenant);
    await people.app.tenants.update(tenant.id, { settings: { second_factor: "required" } });
    await expect.poll(async () => (await me(token)).status).toBe(401);
    expect((await refresh(refreshToken)).status).toBe(401);
    const first = await logIn(people, user.email, tenant);
    expect(first.body).toMatchObject({ code: "second_factor_required", enrolment: true });
    const { mfa_token } = first.body;
    const asFactor = await secondFactor(people, mfa_token, { code: "000000" });
    expect(asFactor.body.code).toBe("invalid_mfa_token");
    const begun = await people.post(`${auth}/second-factor/totp`, { body: { mfa_token } });
    expect(begun.status, begun.text).toBe(200);
    const totp = { token: begun.body.token, code: codeOf(begun.body.secret) };
    const wrong = { token: begun.body.token, code: "000000" };
    const enrolment = (body: object) =>
      people.post(`${auth}/second-factor/enrolment`, { body: { mfa_token, ...body } });
    expect((await enrolment({ totp: wrong })).body.code).toBe("wrong_factor");
    const done = await enrolment({ totp });
    expect(done.status, done.text).toBe(201);
    expect(done.body.recovery_codes).toHaveLength(10);
    expect((await me(done.body.session.access_token)).status).toBe(200);
    expect((await enrolment({ totp })).body.code).toBe("invalid_mfa_token");
  });

  it("asks at the switch into it, and not for what was proved already", async () => {
    const tenant = await people.newTenant({ settings: { second_factor: "required" } });
    const { account, token } = await people.newAccount();
    await people.makeOwner(tenant, account);
    const into = (by: string) =>
      people.post(`${auth}/switch`, { token: by, body: { tenant: tenant.key } });
    const asked = await into(token);
    expect([asked.status, asked.body.code]).toEqual([401, "second_factor_required"]);
    const app = await addApp(people, token);
    const switched = await into(app.token);
    expect(switched.status, switched.text).toBe(200);
    expect(switched.body.tenant.key).toBe(tenant.key);
    expect(decodeJwt(switched.body.access_token).amr).toContain("mfa");
  });

  it("wants an administrator who acts as a user to have proved their own, not the user's", async () => {
    const tenant = await people.newTenant();
    const { user, token } = await people.register(tenant);
    await addApp(people, token);
    const admin = await people.admin();
    const actAs = (by: string) =>
      people.post("/api/v1/platform/impersonations", {
        token: by,
        body: { tenant: tenant.key, user_id: user.id, reason: "a test", minutes: 5 },
      });
    expect((await actAs(admin.token)).status).toBe(201);
    await people.app.tenants.update(tenant.id, { settings: { second_factor: "required" } });
    const refused = await actAs(admin.token);
    expect([refused.status, refused.body.code]).toEqual([403, "administrator_needs_factor"]);
    const app = await addApp(people, admin.token);
    const acting = await actAs(app.token);
    expect(acting.status, acting.text).toBe(201);
    expect(
      (await people.post(`${auth}/factors/totp`, { token: acting.body.access_token })).status,
    ).toBe(403);
  });

  it("ends a browser's session that was made without one", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant);
    const signedIn = await logIn(people, user.email, tenant, { session: "cookie" });
    const cookie = String(signedIn.headers["set-cookie"]).split(";")[0] ?? "";
    const ask = () => people.app.inject({ url: `${auth}/me`, headers: { cookie } });
    expect((await ask()).statusCode).toBe(200);
    await people.app.tenants.update(tenant.id, { settings: { second_factor: "required" } });
    await expect.poll(async () => (await ask()).statusCode).toBe(401);
  });

  it("ends sessions made without one at their next refresh, should one have slipped in", async () => {
    const tenant = await people.newTenant({ settings: { second_factor: "required" } });
    const { body } = await people.post(`${auth}/register`, {
      tenant: tenant.key,
      body: { email: people.newEmail(), password: people.password },
    });
    expect(body.code).toBe("second_factor_required");
    const other = await people.newTenant();
    const { token, refreshToken } = await people.register(other);
    const { sid } = decodeJwt(token);
    // As if its settings had been read a moment before they changed.
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.tenants")
        .set({ settings: JSON.stringify({ second_factor: "required" }) })
        .where("id", "=", other.id)
        .execute(),
    );
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.sessions")
        .set({ ended_at: null as never })
        .where("id", "=", String(sid))
        .execute(),
    );
    await vi.waitFor(async () =>
      expect((await people.app.tenants.get(other.id)).settings.second_factor).toBe("required"),
    );
    expect((await refresh(refreshToken)).status).toBe(401);
  });
});
