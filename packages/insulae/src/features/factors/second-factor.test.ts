import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOneTimeTokens } from "../../kernel/identity/one-time-tokens.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { addApp, auth, codeOf, logIn, secondFactor, stopClock } from "./factors-fixture.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());
const clock = stopClock();

const me = (token: string) => people.get(`${auth}/me`, { token });
const refresh = (refresh_token: string) =>
  people.post(`${auth}/refresh`, { body: { refresh_token } });

async function userWithApp() {
  const tenant = await people.newTenant();
  const { user, token, refreshToken } = await people.register(tenant);
  const app = await addApp(people, token, tenant);
  return { tenant, user, app, before: { token, refreshToken } };
}

describe("a log-in of somebody with an app", () => {
  it("gives no tokens for the password, and tokens for password and code", async () => {
    const { tenant, user, app } = await userWithApp();
    const first = await logIn(people, user.email, tenant);
    expect(first.status).toBe(401);
    expect(first.headers["content-type"]).toContain("application/problem+json");
    expect(first.headers["cache-control"]).toBe("no-store");
    expect(first.body).toMatchObject({
      code: "second_factor_required",
      methods: ["totp", "recovery_code"],
      enrolment: false,
    });
    expect(first.text).not.toMatch(/access_token|refresh_token/);
    const second = await secondFactor(people, first.body.mfa_token, { code: codeOf(app.secret) });
    expect(second.status, second.text).toBe(200);
    expect(decodeJwt(second.body.access_token).amr).toEqual(["pwd", "otp", "mfa"]);
    expect((await me(second.body.access_token)).body.user.id).toBe(user.id);
    const sessions = await people.get(`${auth}/sessions`, { token: second.body.access_token });
    expect(sessions.body.items[0].amr).toEqual(["pwd", "otp", "mfa"]);
    const refreshed = await refresh(second.body.refresh_token);
    expect(decodeJwt(refreshed.body.access_token).amr).toEqual(["pwd", "otp", "mfa"]);
  });

  it("is finished in a cookie where a cookie was asked for", async () => {
    const { tenant, user, app } = await userWithApp();
    const first = await logIn(people, user.email, tenant, { session: "cookie" });
    expect(first.headers["set-cookie"]).toBeUndefined();
    const second = await secondFactor(people, first.body.mfa_token, { code: codeOf(app.secret) });
    expect(String(second.headers["set-cookie"])).toMatch(/^__Host-insulae=/);
    expect(second.body).not.toHaveProperty("access_token");
  });

  it("is asked for after a one-time link as well", async () => {
    const { account, token } = await people.admin();
    const { secret } = await addApp(people, token);
    const link = await people.onPlatform(({ control }) =>
      createOneTimeTokens(control).issue({
        ...{ purpose: "start", ttlSeconds: 900 },
        subject: { tenantId: null, id: account.id },
      }),
    );
    const first = await people.post(`${auth}/start`, { body: { token: link } });
    expect([first.status, first.body.code]).toEqual([401, "second_factor_required"]);
    expect(first.headers["set-cookie"]).toBeUndefined();
    const second = await secondFactor(people, first.body.mfa_token, { code: codeOf(secret) });
    expect(String(second.headers["set-cookie"])).toMatch(/^__Host-insulae=/);
  });

  it("answers a wrong password like anybody's", async () => {
    const { tenant, user } = await userWithApp();
    const wrong = { body: { email: user.email, password: "not the password at all" } };
    const nobody = { body: { email: people.newEmail(), password: people.password } };
    const [one, other] = await Promise.all(
      [wrong, nobody].map((request) =>
        people.post(`${auth}/login`, { tenant: tenant.key, ...request }),
      ),
    );
    const { request_id: _one, ...told } = one?.body ?? {};
    const { request_id: _other, ...expected } = other?.body ?? {};
    expect(told).toEqual(expected);
    expect(told.code).toBe("invalid_credentials");
  });

  it("is for an account too, in the core and in its tenants", async () => {
    const tenant = await people.newTenant();
    const { account } = await people.newAccount();
    await people.makeOwner(tenant, account);
    const member = await people.logIn(tenant, account.email);
    const app = await addApp(people, member.token);
    for (const where of [tenant, undefined]) {
      const first = await logIn(people, account.email, where);
      expect([first.status, first.body.code]).toEqual([401, "second_factor_required"]);
      const second = await secondFactor(people, first.body.mfa_token, {
        code: codeOf(app.secret),
      });
      expect(second.status, second.text).toBe(200);
      clock.later();
    }
  });
});

describe("an mfa_token", () => {
  it("is refused at the API, at refresh and at other steps", async () => {
    const { tenant, user } = await userWithApp();
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    expect((await me(mfa_token)).status).toBe(401);
    expect((await refresh(mfa_token)).status).toBe(401);
    for (const path of ["totp", "passkey"]) {
      const reply = await people.post(`${auth}/second-factor/${path}`, { body: { mfa_token } });
      expect([reply.status, reply.body.code]).toEqual([401, "invalid_mfa_token"]);
    }
    const reset = { body: { token: mfa_token, password: "another fine passphrase" } };
    expect((await people.post(`${auth}/password-reset`, reset)).status).toBe(400);
    const verify = await people.post(`${auth}/verify-email`, { body: { token: mfa_token } });
    expect(verify.status).toBe(400);
  });

  it("is good once, also when used ten times at once", async () => {
    const { tenant, user, app } = await userWithApp();
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const answers = [
      { code: codeOf(app.secret) },
      ...app.codes.map((recovery_code) => ({ recovery_code })),
    ];
    const replies = await Promise.all(
      answers.map((answer) => secondFactor(people, mfa_token, answer)),
    );
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it("of one tenant is not good in another, nor after the password was changed", async () => {
    const { tenant, user, app } = await userWithApp();
    const other = await people.newTenant();
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const elsewhere = await people.post(`${auth}/second-factor`, {
      tenant: other.key,
      body: { mfa_token, code: codeOf(app.secret) },
    });
    expect([elsewhere.status, elsewhere.body.code]).toEqual([401, "invalid_mfa_token"]);
    await people.setPasswordOf(tenant, user.id);
    const late = await secondFactor(people, mfa_token, { code: codeOf(app.secret) });
    expect([late.status, late.body.code]).toEqual([401, "invalid_mfa_token"]);
  });

  it("expires", async () => {
    const { tenant, user, app } = await userWithApp();
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.one_time_tokens")
        .set({ expires_at: new Date(0) })
        .where("subject_id", "=", user.id)
        .execute(),
    );
    const reply = await secondFactor(people, mfa_token, { code: codeOf(app.secret) });
    expect(reply.body.code).toBe("invalid_mfa_token");
  });
});

describe("a code", () => {
  it("is good once: of two uses at once one, and never again", async () => {
    const { tenant, user, app } = await userWithApp();
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const code = codeOf(app.secret);
    const replies = await Promise.all(
      Array.from({ length: 4 }, () => secondFactor(people, mfa_token, { code })),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401]);
    const again = (await logIn(people, user.email, tenant)).body.mfa_token;
    const replayed = await secondFactor(people, again, { code });
    expect([replayed.status, replayed.body.code]).toEqual([401, "wrong_factor"]);
    clock.later();
    const next = await secondFactor(people, again, { code: codeOf(app.secret) });
    expect(next.status).toBe(200);
  });

  it("that proved the app is used up with it", async () => {
    const { tenant, user, app } = await userWithApp();
    clock.later(-30);
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const reply = await secondFactor(people, mfa_token, { code: codeOf(app.secret) });
    expect(reply.body.code).toBe("wrong_factor");
    clock.later();
  });

  it("may be guessed five times, whoever guesses, over new log-ins and nodes; then there is a pause", async () => {
    const { tenant, user, app } = await userWithApp();
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const guesses = await Promise.all(
      Array.from({ length: 30 }, (_, at) =>
        secondFactor(people, mfa_token, { code: String(at).padStart(6, "0") }),
      ),
    );
    const statuses = guesses.map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(25);
    const paused = guesses.find(({ status }) => status === 429);
    expect(Number(paused?.headers["retry-after"])).toBeGreaterThan(30);

    const node = await people.openNode();
    try {
      const again = (await logIn(people, user.email, tenant)).body.mfa_token;
      const payload = { mfa_token: again, code: codeOf(app.secret) };
      const right = await node.inject({ method: "POST", url: `${auth}/second-factor`, payload });
      expect(right.statusCode).toBe(429);
      await endPause(user.id);
      const late = await node.inject({ method: "POST", url: `${auth}/second-factor`, payload });
      expect(late.statusCode, late.body).toBe(200);
    } finally {
      await node.close();
    }
    const mails = await people.mailsTo(user.email, 3);
    expect(mails.at(-1)?.text).toContain("entered several wrong codes");
  });

  it("after each pause may be guessed once, and the pause doubles", async () => {
    const { tenant, user } = await userWithApp();
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const guess = () => secondFactor(people, mfa_token, { code: "000000" });
    for (let count = 0; count < 5; count++) await guess();
    const pauses: number[] = [];
    for (let count = 0; count < 3; count++) {
      pauses.push(Number((await guess()).headers["retry-after"]));
      await endPause(user.id);
      expect((await guess()).status).toBe(401);
    }
    const [first = 0, second = 0, third = 0] = pauses;
    expect(second).toBeGreaterThan(first * 1.5);
    expect(third).toBeGreaterThan(second * 1.5);
  });
});

const endPause = (id: string) =>
  people.onPlatform(({ control }) =>
    control
      .updateTable("control.factor_attempts")
      .set({ paused_until: new Date(0) })
      .where("subject_id", "=", id)
      .execute(),
  );

describe("a recovery code", () => {
  it("is good once, in any spelling, and its owner is told", async () => {
    const { tenant, user, app } = await userWithApp();
    expect(app.codes).toHaveLength(10);
    const [code = ""] = app.codes;
    const { mfa_token } = (await logIn(people, user.email, tenant)).body;
    const spelled = code.toUpperCase().replaceAll("-", " ").replaceAll("0", "O");
    const used = await secondFactor(people, mfa_token, { recovery_code: spelled });
    expect(used.status, used.text).toBe(200);
    const again = (await logIn(people, user.email, tenant)).body.mfa_token;
    expect((await secondFactor(people, again, { recovery_code: code })).status).toBe(401);
    const listed = await people.get(`${auth}/factors`, { token: used.body.access_token });
    expect(listed.body.recovery_codes_left).toBe(9);
    const mails = await people.mailsTo(user.email, 3);
    expect(mails.at(-1)?.text).toContain("recovery code");
  });

  it("of somebody else is not good", async () => {
    const one = await userWithApp();
    const other = await userWithApp();
    const { mfa_token } = (await logIn(people, one.user.email, one.tenant)).body;
    const reply = await secondFactor(people, mfa_token, { recovery_code: other.app.codes[0] });
    expect(reply.status).toBe(401);
  });

  it("is stored as a keyed hash, and the app's secret sealed", async () => {
    const { app } = await userWithApp();
    const rows = await people.onPlatform(async ({ control }) => [
      ...(await control.selectFrom("control.recovery_codes").selectAll().execute()),
      ...(await control.selectFrom("control.factors").selectAll().execute()),
      ...(await control.selectFrom("control.one_time_tokens").selectAll().execute()),
    ]);
    const text = JSON.stringify(rows);
    expect(text).not.toContain(app.secret);
    for (const code of app.codes) expect(text).not.toContain(code.replaceAll("-", ""));
  });
});

it("a new password, set by mail, does not get around the second factor", async () => {
  const { tenant, user, app } = await userWithApp();
  await people.post(`${auth}/password-reset-request`, {
    tenant: tenant.key,
    body: { email: user.email },
  });
  const token = await people.tokenTo(user.email, 3);
  const reset = await people.post(`${auth}/password-reset`, {
    body: { token, password: people.password },
  });
  expect(reset.status, reset.text).toBe(204);
  const { mfa_token, code } = (await logIn(people, user.email, tenant)).body;
  expect(code).toBe("second_factor_required");
  const answer = { code: codeOf(app.secret) };
  expect((await secondFactor(people, mfa_token, answer)).status).toBe(200);
});

it("a session that began before the first factor is over", async () => {
  const { before } = await userWithApp();
  expect((await me(before.token)).status).toBe(401);
  expect((await refresh(before.refreshToken)).status).toBe(401);
});

it("a right password is in the audit log, and so is the code that was wrong", async () => {
  const { tenant, user, app } = await userWithApp();
  const { mfa_token } = (await logIn(people, user.email, tenant)).body;
  await secondFactor(people, mfa_token, { code: "000000" });
  await secondFactor(people, mfa_token, { code: codeOf(app.secret) });
  const rows = await people.onTenant(tenant, (db) =>
    db.query<{ action: string; outcome: string; actor_id: string }>(
      "select action, outcome, actor_id from audit_log order by seq",
    ),
  );
  const mine = rows.filter(({ actor_id }) => actor_id === user.id);
  expect(mine.slice(-3).map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
    "auth.second_factor_requested succeeded",
    "auth.second_factor_used failed",
    "auth.second_factor_used succeeded",
  ]);
  expect(JSON.stringify(people.logLines())).not.toContain(mfa_token);
});
