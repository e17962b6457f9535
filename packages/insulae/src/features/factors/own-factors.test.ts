import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { UserId } from "../../kernel/lib/ids.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { createAuthenticator } from "./authenticator-fixture.ts";
import { addApp, auth, codeOf, logIn, secondFactor, stopClock } from "./factors-fixture.ts";

const origin = "http://localhost";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ config: { baseUrl: origin, appUrl: origin } });
});
afterAll(() => people?.close());
stopClock();

const me = (token: string) => people.get(`${auth}/me`, { token });
const list = async (token: string) => (await people.get(`${auth}/factors`, { token })).body;

async function userWithApp() {
  const tenant = await people.newTenant();
  const { user, token } = await people.register(tenant);
  return { tenant, user, app: await addApp(people, token) };
}

/** As if nobody had proved anything for long. */
const grow = (subject: UserId) =>
  people.onPlatform(({ control }) =>
    control
      .updateTable("control.sessions")
      .set({ proved_at: new Date(0) })
      .where("subject_id", "=", subject)
      .execute(),
  );

describe("somebody's own factors", () => {
  it("are listed without their secrets, renamed, and removed", async () => {
    const { user, app } = await userWithApp();
    const listed = await list(app.token);
    expect(listed.items).toEqual([
      {
        id: app.id,
        kind: "totp",
        name: "Authenticator app",
        created_at: expect.any(String),
        last_used_at: null,
      },
    ]);
    const path = `${auth}/factors/${app.id}`;
    const renamed = await people.patch(path, { token: app.token, body: { name: "Old phone" } });
    expect([renamed.status, renamed.body.name]).toEqual([200, "Old phone"]);
    const removed = await people.delete(path, { token: app.token });
    expect(removed.status, removed.text).toBe(200);
    expect((await me(app.token)).status).toBe(401);
    expect(await list(removed.body.access_token)).toEqual({ items: [], recovery_codes_left: 0 });
    const texts = (await people.mailsTo(user.email, 3)).map(({ text }) => text).join();
    expect(texts).toContain("A second factor was added");
    expect(texts).toContain("A second factor was removed");
  });

  it("are nobody else's to see, rename, or remove", async () => {
    const one = await userWithApp();
    const other = await userWithApp();
    expect((await list(other.app.token)).items).toHaveLength(1);
    const request = { token: other.app.token };
    const path = `${auth}/factors/${one.app.id}`;
    const replies = [
      await people.patch(path, { ...request, body: { name: "Mine" } }),
      await people.delete(path, request),
    ];
    expect(replies.map(({ status }) => status)).toEqual([404, 404]);
    expect((await list(one.app.token)).items[0].name).toBe("Authenticator app");
  });

  it("of a user are the account's where there is one, in every tenant", async () => {
    const { account, token } = await people.newAccount();
    const [here, there] = [await people.newTenant(), await people.newTenant()];
    for (const tenant of [here, there]) await people.makeOwner(tenant, account);
    const app = await addApp(people, token);
    const switched = await people.post(`${auth}/switch`, {
      token: app.token,
      body: { tenant: there.key },
    });
    expect((await list(switched.body.access_token)).items[0].id).toBe(app.id);
  });

  it("hold one app: a new one takes the place of the old, and no other factor's", async () => {
    const { tenant, user, app } = await userWithApp();
    const second = await addApp(people, app.token);
    expect(second.codes).toBeUndefined();
    expect((await list(second.token)).items.map(({ id }: { id: string }) => id)).toEqual([
      second.id,
    ]);
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const old = await secondFactor(people, mfa_token, { code: codeOf(app.secret) });
    expect(old.body.code).toBe("wrong_factor");
    const kept = await secondFactor(people, mfa_token, { recovery_code: app.codes[0] });
    expect(kept.status).toBe(200);
  });

  it("give new recovery codes, and the old ones are no longer good", async () => {
    const { tenant, user, app } = await userWithApp();
    const path = `${auth}/factors/recovery-codes`;
    const { status, body } = await people.post(path, { token: app.token });
    expect([status, body.recovery_codes.length]).toEqual([200, 10]);
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const by = (recovery_code: string) => secondFactor(people, mfa_token, { recovery_code });
    expect((await by(app.codes[0] ?? "")).status).toBe(401);
    expect((await by(body.recovery_codes[0])).status).toBe(200);
  });

  it("are not begun by one person and added by another", async () => {
    const one = await people.register(await people.newTenant());
    const other = await people.register(await people.newTenant());
    const begun = (await people.post(`${auth}/factors/totp`, { token: one.token })).body;
    const body = { totp: { token: begun.token, code: codeOf(begun.secret) } };
    const stolen = await people.post(`${auth}/factors`, { token: other.token, body });
    expect([stolen.status, stolen.body.code]).toEqual([401, "wrong_factor"]);
    expect((await people.post(`${auth}/factors`, { token: one.token, body })).status).toBe(201);
  });
});

describe("without a fresh proof", () => {
  const changes = (id: string) =>
    [
      ["POST", "/factors/totp", undefined],
      ["POST", "/factors/passkey", undefined],
      ["POST", "/factors/recovery-codes", undefined],
      ["POST", "/factors", { totp: { token: "x", code: "000000" } }],
      ["PATCH", `/factors/${id}`, { name: "Mine" }],
      ["DELETE", `/factors/${id}`, undefined],
    ] as const;

  it("nothing of the factors changes, until it is given", async () => {
    const { user, app } = await userWithApp();
    await grow(user.id);
    for (const [method, path, payload] of changes(app.id)) {
      const reply = await people.app.inject({
        method,
        url: `${auth}${path}`,
        headers: { authorization: `Bearer ${app.token}` },
        ...(payload && { payload }),
      });
      expect([reply.statusCode, reply.json().code], path).toEqual([
        403,
        "reauthentication_required",
      ]);
    }
    const prove = (body: object) =>
      people.post(`${auth}/reauthenticate`, { token: app.token, body });
    expect((await prove({ password: people.password })).status).toBe(400);
    expect((await prove({ code: "000000" })).status).toBe(401);
    expect((await prove({ code: codeOf(app.secret) })).status).toBe(204);
    const path = `${auth}/factors/${app.id}`;
    expect((await people.delete(path, { token: app.token })).status).toBe(200);
  });

  it("somebody without a factor gives the password, and guesses are bounded", async () => {
    const { user, token } = await people.register(await people.newTenant());
    await grow(user.id);
    const begin = () => people.post(`${auth}/factors/totp`, { token });
    const prove = (password: string) =>
      people.post(`${auth}/reauthenticate`, { token, body: { password } });
    expect((await begin()).status).toBe(403);
    expect((await prove("not the password")).status).toBe(401);
    expect((await prove(people.password)).status).toBe(204);
    expect((await begin()).status).toBe(200);
    for (let count = 0; count < 5; count++) await prove("not the password");
    expect((await prove(people.password)).status).toBe(429);
  });

  it("a passkey gives it, to the challenge that this session was given, once", async () => {
    const { user, token } = await people.register(await people.newTenant());
    const authenticator = createAuthenticator(origin);
    const begun = (await people.post(`${auth}/factors/passkey`, { token })).body;
    const body = { passkey: authenticator.create(begun) };
    const added = await people.post(`${auth}/factors`, { token, body });
    const now = added.body.session.access_token;
    await grow(user.id);
    const ask = async () =>
      (await people.post(`${auth}/reauthenticate/passkey`, { token: now })).body;
    const prove = (passkey: object) =>
      people.post(`${auth}/reauthenticate`, { token: now, body: { passkey } });
    const replaced = authenticator.get(await ask());
    const passkey = authenticator.get(await ask());
    expect((await prove(replaced)).status).toBe(401);
    expect((await prove(passkey)).status).toBe(204);
    expect((await prove(passkey)).status).toBe(401);
  });
});

describe("an administrator", () => {
  it("resets what a user has lost: all factors and codes are gone, all sessions end", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const { user, token } = await people.register(tenant);
    const app = await addApp(people, token);
    const path = `/api/v1/users/${user.id}/factors`;
    expect((await people.delete(path, { token: app.token })).status).toBe(403);
    const reply = await people.delete(path, { token: owner.token });
    expect(reply.status, reply.text).toBe(204);
    await expect.poll(async () => (await me(app.token)).status).toBe(401);
    expect((await people.logIn(tenant, user.email)).token).toBeTruthy();
    const mails = await people.mailsTo(user.email, 3);
    expect(mails.map(({ text }) => text).join()).toContain("An administrator removed");
    const log = await people.onTenant(tenant, (db) =>
      db.query<{ target_id: string }>(
        "select target_id from audit_log where action = 'factors.reset'",
      ),
    );
    expect(log).toEqual([{ target_id: user.id }]);
  });

  it("resets nobody's above them, nobody's of another tenant, no account's, and not without a fresh proof", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const admin = await people.addUser(tenant, owner, { role: "admin", password: people.password });
    const { user } = await people.register(tenant);
    const stranger = await people.register(await people.newTenant());
    const reset = (id: string, token: string) =>
      people.delete(`/api/v1/users/${id}/factors`, { token });
    const codes = [
      await reset(owner.user.id, admin.token),
      await reset(stranger.user.id, admin.token),
      await reset(owner.user.id, owner.token),
    ].map(({ body }) => body.code);
    expect(codes).toEqual(["role_above_own", "user_not_found", "factors_of_account"]);
    await grow(admin.user.id);
    expect((await reset(user.id, admin.token)).body.code).toBe("reauthentication_required");
  });

  it("of the platform resets an account's", async () => {
    const admin = await people.admin();
    const { account, token } = await people.newAccount();
    const app = await addApp(people, token);
    const path = `/api/v1/accounts/${account.id}/factors`;
    expect((await people.delete(path, { token: app.token })).status).toBe(403);
    const reply = await people.delete(path, { token: admin.token });
    expect(reply.status, reply.text).toBe(204);
    await expect.poll(async () => (await me(app.token)).status).toBe(401);
    expect((await logIn(people, account.email)).status).toBe(200);
  });
});
