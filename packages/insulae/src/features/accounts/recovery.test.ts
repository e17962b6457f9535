import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

const path = "/api/v1/auth";
const newPassword = "another horse, another battery";
const withoutId = ({ request_id: _id, ...problem }: Record<string, unknown>) => problem;

const logIn = (email: string, password: string, tenant?: string) =>
  people.post(`${path}/login`, { ...(tenant && { tenant }), body: { email, password } });
const askForReset = (email: string, tenant?: string) =>
  people.post(`${path}/password-reset-request`, { ...(tenant && { tenant }), body: { email } });
const reset = (token: string, password = newPassword, tenant?: string) =>
  people.post(`${path}/password-reset`, { ...(tenant && { tenant }), body: { token, password } });

/** The registration's own mail comes first. */
const resetTokenFor = async (email: string, tenant?: string, mails = 2) => {
  expect(await askForReset(email, tenant)).toMatchObject({ status: 202 });
  return people.tokenTo(email, mails);
};

describe("a password reset", () => {
  it("sets the password of an account, ends its sessions, and verifies its e-mail", async () => {
    const { account, token: session } = await people.newAccount();
    const token = await resetTokenFor(account.email);
    expect(await reset(token)).toMatchObject({ status: 204, text: "" });
    expect(await logIn(account.email, people.password)).toMatchObject({ status: 401 });
    const { body } = await logIn(account.email, newPassword);
    expect(body.user).toMatchObject({ id: account.id, email_verified: true });
    expect(await people.get(`${path}/me`, { token: session })).toMatchObject({ status: 401 });
  });

  it("sets the password of a tenant's user, ends their sessions, and verifies their e-mail", async () => {
    const tenant = await people.newTenant();
    const { user, token: session } = await people.register(tenant);
    const token = await resetTokenFor(user.email, tenant.key);
    expect(await reset(token)).toMatchObject({ status: 204 });
    expect(await logIn(user.email, people.password, tenant.key)).toMatchObject({ status: 401 });
    const { body } = await logIn(user.email, newPassword, tenant.key);
    expect(body.user).toMatchObject({ id: user.id, email_verified: true });
    expect(await people.get(`${path}/me`, { token: session })).toMatchObject({ status: 401 });
    const notice = (await people.mailsTo(user.email, 3)).at(-1);
    expect(notice).toMatchObject({ template: "security_notice" });
  });

  it("is done by one of ten who use the token at once", async () => {
    const { account } = await people.newAccount();
    const token = await resetTokenFor(account.email);
    const replies = await Promise.all(
      Array.from({ length: 10 }, (_, i) => reset(token, `${newPassword} ${i}`)),
    );
    const statuses = replies.map(({ status }) => status).sort();
    expect(statuses).toEqual([204, ...Array.from({ length: 9 }, () => 400)]);
    const done = replies.findIndex(({ status }) => status === 204);
    expect(await logIn(account.email, `${newPassword} ${done}`)).toMatchObject({ status: 200 });
  });

  it("does not cost the token while the password is refused", async () => {
    const { account } = await people.newAccount();
    const token = await resetTokenFor(account.email);
    expect(await reset(token, "password1")).toMatchObject({
      status: 400,
      body: { code: "weak_password" },
    });
    expect(await reset(token)).toMatchObject({ status: 204 });
  });

  it("is asked for with one answer for all addresses, and mails only to stored ones", async () => {
    const tenant = await people.newTenant();
    const { user } = await people.register(tenant);
    const { user: inactive } = await people.register(tenant);
    const owner = await people.newOwner(tenant);
    await people.patch(`/api/v1/users/${inactive.id}`, {
      token: owner.token,
      body: { is_active: false },
    });
    const absent = people.newEmail();
    const replies = [];
    for (const email of [user.email, absent, inactive.email]) {
      const { status, text, headers } = await askForReset(email, tenant.key);
      const { date: _date, "x-request-id": _id, ...others } = headers;
      const limits = Object.keys(others).filter((name) => /rate-?limit/.test(name));
      for (const name of limits) delete others[name];
      replies.push({ status, text, others });
    }
    expect(replies[1]).toEqual(replies[0]);
    expect(replies[2]).toEqual(replies[0]);
    await people.mailRow(absent, "dropped");
    await people.mailRow(inactive.email, "dropped");
    await people.mailRow(user.email, "sent");
  });

  it("lifts nothing: a user who was switched off meanwhile stays so", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const { user } = await people.register(tenant);
    const token = await resetTokenFor(user.email, tenant.key);
    await people.patch(`/api/v1/users/${user.id}`, {
      token: owner.token,
      body: { is_active: false },
    });
    expect(await reset(token)).toMatchObject({ status: 400, body: { code: "invalid_link" } });
    expect(await logIn(user.email, newPassword, tenant.key)).toMatchObject({ status: 401 });
  });

  it("is not for whoever has the address no more", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const { user } = await people.register(tenant);
    const token = await resetTokenFor(user.email, tenant.key);
    await people.patch(`/api/v1/users/${user.id}`, {
      token: owner.token,
      body: { email: people.newEmail() },
    });
    expect(await reset(token)).toMatchObject({ status: 400 });
  });

  it("of a linked user is the account's, and not by way of an address that the tenant has given", async () => {
    const tenant = await people.newTenant();
    const { account } = await people.newOwner(tenant);
    const token = await resetTokenFor(account.email, tenant.key);
    expect(await reset(token)).toMatchObject({ status: 204 });
    expect(await logIn(account.email, newPassword)).toMatchObject({ status: 200 });
    const foreign = people.newEmail();
    await people.onTenant(tenant, (db) =>
      db.query("update users set email = $1 where account_id = $2", [foreign, account.id]),
    );
    await askForReset(foreign, tenant.key);
    await people.mailRow(foreign, "dropped");
  });

  it("is no other tenant's business, and no other purpose's", async () => {
    const [tenant, other] = [await people.newTenant(), await people.newTenant()];
    const { user } = await people.register(tenant);
    const verification = await people.tokenTo(user.email);
    const token = await resetTokenFor(user.email, tenant.key);
    const wrong = [
      await reset(token, newPassword, other.key),
      await reset(verification),
      await people.post(`${path}/verify-email`, { body: { token } }),
      await reset("no token at all"),
    ];
    for (const { status, body } of wrong) {
      expect(status).toBe(400);
      expect(withoutId(body)).toMatchObject({ code: "invalid_link" });
    }
    for (const it of [token, verification]) {
      const { status } = await people.get(`${path}/me`, { token: it });
      expect(status).toBe(401);
    }
    expect(await reset(token)).toMatchObject({ status: 204 });
  });
});

describe("the links in mails", () => {
  it("lead where the configuration says, whatever the request claims", async () => {
    const { account } = await people.newAccount();
    const ask = (headers: Record<string, string>) =>
      people.app.inject({
        method: "POST",
        url: `${path}/password-reset-request`,
        headers,
        payload: { email: account.email },
      });
    const forwarded = await ask({
      "x-forwarded-host": "evil.example",
      "x-forwarded-proto": "https",
      forwarded: "host=evil.example",
    });
    expect(forwarded.statusCode).toBe(202);
    const forged = await ask({ host: "evil.example" });
    const mails = await people.mailsTo(account.email, forged.statusCode === 202 ? 3 : 2);
    expect(mails[1]?.text).toContain(`${people.app.config.appUrl}/password-reset?token=`);
    for (const { text, html } of mails) expect(text + html).not.toContain("evil.example");
  });
});

describe("a change of password", () => {
  const change = (token: string, current_password: string, new_password = newPassword) =>
    people.post(`${path}/password-change`, { token, body: { current_password, new_password } });

  it("ends all sessions and gives new tokens, to a user and to an account", async () => {
    const tenant = await people.newTenant();
    const { user, token: ofUser } = await people.register(tenant);
    const { account, token: ofAccount } = await people.newAccount();
    for (const [token, email, where] of [
      [ofUser, user.email, tenant.key],
      [ofAccount, account.email, undefined],
    ] as const) {
      const { status, body } = await change(token, people.password);
      expect(status).toBe(200);
      expect(await people.get(`${path}/me`, { token })).toMatchObject({ status: 401 });
      expect(await people.get(`${path}/me`, { token: body.token })).toMatchObject({ status: 200 });
      expect(await logIn(email, newPassword, where)).toMatchObject({ status: 200 });
      expect(await logIn(email, people.password, where)).toMatchObject({ status: 401 });
    }
  });

  it("of a linked user changes the account's password", async () => {
    const tenant = await people.newTenant();
    const { account, token } = await people.newOwner(tenant);
    const { body } = await change(token, people.password);
    expect(body.tenant).toMatchObject({ id: tenant.id });
    expect(await logIn(account.email, newPassword)).toMatchObject({ status: 200 });
  });

  it("takes the present password, and refuses weak ones", async () => {
    const { account, token } = await people.newAccount();
    expect(await change(token, "not my password")).toMatchObject({
      status: 400,
      body: { code: "wrong_password" },
    });
    expect(await change(token, people.password, "password1")).toMatchObject({
      status: 400,
      body: { code: "weak_password" },
    });
    expect(await logIn(account.email, people.password)).toMatchObject({ status: 200 });
  });

  it("takes back a reset that was asked for before", async () => {
    const { account, token } = await people.newAccount();
    const link = await resetTokenFor(account.email);
    expect(await change(token, people.password)).toMatchObject({ status: 200 });
    expect(await reset(link)).toMatchObject({ status: 400 });
  });
});

describe("an e-mail that an administrator changes", () => {
  it("is to be proved again, and the old address is told", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    const { user } = await people.register(tenant);
    const moved = people.newEmail();
    await people.patch(`/api/v1/users/${user.id}`, { token: owner.token, body: { email: moved } });
    const told = (await people.mailsTo(user.email, 2)).at(-1);
    expect(told).toMatchObject({ template: "security_notice" });
    const token = await people.tokenTo(moved);
    expect(await people.post(`${path}/verify-email`, { body: { token } })).toMatchObject({
      status: 204,
    });
  });
});
