import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ config: { emailVerification: "required" } });
});
afterAll(() => people?.close());

const path = "/api/v1/auth";
const password = "correct horse battery staple";
const withoutId = ({ request_id: _id, ...problem }: Record<string, unknown>) => problem;

const register = (email: string, tenant?: Tenant, more: object = {}) =>
  people.post(`${path}/register`, {
    ...(tenant && { tenant: tenant.key }),
    body: { email, password, ...more },
  });
const logIn = (email: string, tenant?: Tenant, given = password) =>
  people.post(`${path}/login`, {
    ...(tenant && { tenant: tenant.key }),
    body: { email, password: given },
  });
const verify = (token: string, tenant?: Tenant) =>
  people.post(`${path}/verify-email`, { ...(tenant && { tenant: tenant.key }), body: { token } });

describe("where e-mails must be verified", () => {
  it("registration answers the same for a new and a taken address, and the mail says what happened", async () => {
    for (const tenant of [undefined, await people.newTenant()]) {
      const email = people.newEmail();
      const first = await register(email, tenant);
      const again = await register(email, tenant, { first_name: "Eve" });
      expect([first.status, again.status]).toEqual([201, 201]);
      expect(first.body).toEqual({ verification_required: true, email });
      expect(again.text).toBe(first.text);
      const mails = await people.mailsTo(email, 2);
      expect(mails.map(({ template }) => template)).toEqual(["verification", "already_registered"]);
    }
  });

  it("the log of where somebody signed up says what happened, and the other one nothing", async () => {
    const tenant = await people.newTenant();
    const email = people.newEmail();
    // The tenant is named in the body alone.
    for (const _ of [1, 2]) {
      await people.post(`${path}/register`, { body: { email, password, tenant: tenant.key } });
    }
    const platform = await people.onPlatform(({ control }) =>
      control.selectFrom("control.audit_log").select(["action", "outcome"]).execute(),
    );
    const log = await people.onTenant(tenant, (db) =>
      db.query("select action, outcome, actor_kind from audit_log order by seq"),
    );
    expect(log).toEqual([
      { action: "auth.registered", outcome: "succeeded", actor_kind: "anonymous" },
      { action: "auth.registration_refused", outcome: "refused", actor_kind: "anonymous" },
    ]);
    const before = platform.filter(({ action }) => action.startsWith("auth.regist")).length;
    await register(email);
    await register(email);
    const after = await people.onPlatform(({ control }) =>
      control
        .selectFrom("control.audit_log")
        .select(["action", "outcome"])
        .where("action", "like", "auth.regist%")
        .orderBy("at")
        .execute(),
    );
    expect(after.slice(before)).toEqual([
      { action: "auth.registered", outcome: "succeeded" },
      { action: "auth.registration_refused", outcome: "refused" },
    ]);
  });

  it("a taken username is told whatever the e-mail is", async () => {
    const tenant = await people.newTenant();
    const known = people.newEmail();
    await register(known, tenant, { username: "grace" });
    for (const email of [known, people.newEmail()]) {
      const { status, body } = await register(email, tenant, { username: "Grace" });
      expect([status, body.code]).toEqual([409, "username_taken"]);
    }
  });

  it("nobody logs in before, and is answered as with a wrong password", async () => {
    for (const tenant of [undefined, await people.newTenant()]) {
      const email = people.newEmail();
      await register(email, tenant);
      const token = await people.tokenTo(email);
      const refused = await logIn(email, tenant);
      const wrong = await logIn(email, tenant, "a wrong password");
      expect(refused.status).toBe(401);
      expect(withoutId(refused.body)).toEqual(withoutId(wrong.body));
      expect(await verify(token)).toMatchObject({ status: 204 });
      const { status, body } = await logIn(email, tenant);
      expect(status).toBe(200);
      expect(body.user).toMatchObject({ email, email_verified: true });
      expect(await verify(token)).toMatchObject({ status: 400, body: { code: "invalid_link" } });
    }
  });

  it("a stranger's sign-up for somebody's address is undone by the reset in the mail", async () => {
    const email = people.newEmail();
    await register(email);
    await people.post(`${path}/register`, { body: { email, password: "the owner's own choice" } });
    const token = await people.tokenTo(email, 2);
    const chosen = "chosen by the owner";
    const body = { token, password: chosen };
    expect(await people.post(`${path}/password-reset`, { body })).toMatchObject({ status: 204 });
    expect(await logIn(email)).toMatchObject({ status: 401 });
    expect(await logIn(email, undefined, chosen)).toMatchObject({ status: 200 });
  });

  it("a mail can be asked for again, which replaces the first; the answer is the same for all", async () => {
    const tenant = await people.newTenant();
    const [email, absent] = [people.newEmail(), people.newEmail()];
    await register(email, tenant);
    const first = await people.tokenTo(email);
    const replies = [];
    for (const address of [email, absent]) {
      const { status, text } = await people.post(`${path}/resend-verification`, {
        tenant: tenant.key,
        body: { email: address },
      });
      replies.push({ status, text });
    }
    expect(replies).toEqual([
      { status: 202, text: "" },
      { status: 202, text: "" },
    ]);
    const second = await people.tokenTo(email, 2);
    await people.mailRow(absent, "dropped");
    expect(await verify(first)).toMatchObject({ status: 400 });
    expect(await verify(second, await people.newTenant())).toMatchObject({ status: 400 });
    expect(await verify(second, tenant)).toMatchObject({ status: 204 });
    await people.post(`${path}/resend-verification`, { tenant: tenant.key, body: { email } });
    await people.mailRow(email, "dropped");
  });

  it("a token verifies the address it was sent to, and no later one", async () => {
    const tenant = await people.newTenant();
    const email = people.newEmail();
    await register(email, tenant);
    const token = await people.tokenTo(email);
    await people.onTenant(tenant, (db) =>
      db.query("update users set email = 'other@example.org' where email = $1", [email]),
    );
    expect(await verify(token)).toMatchObject({ status: 400 });
    expect(await logIn("other@example.org", tenant)).toMatchObject({ status: 401 });
  });

  it("a tenant's own setting wins, both ways", async () => {
    const lax = await people.newTenant({ settings: { email_verification: "optional" } });
    const email = people.newEmail();
    expect((await register(email, lax)).body.token).toBeDefined();
    expect(await logIn(email, lax)).toMatchObject({ status: 200 });
    expect((await people.mailsTo(email))[0]).toMatchObject({ template: "verification" });

    const node = await people.openNode({ emailVerification: "optional" });
    try {
      const strict = await people.newTenant({ settings: { email_verification: "required" } });
      const reply = await node.inject({
        method: "POST",
        url: `${path}/register`,
        headers: { "x-tenant": strict.key },
        payload: { email: people.newEmail(), password },
      });
      expect(reply.json()).toMatchObject({ verification_required: true });
    } finally {
      await node.close();
    }
  });

  it("what an account has proved counts for the users that are linked to it", async () => {
    const tenant = await people.newTenant();
    const email = people.newEmail();
    await register(email);
    const token = await people.tokenTo(email);
    const account = await people.findAccount(email);
    await people.makeOwner(tenant, account);
    expect(await logIn(email, tenant)).toMatchObject({ status: 401 });
    await verify(token);
    expect(await logIn(email, tenant)).toMatchObject({ status: 200 });
    expect(await logIn(email)).toMatchObject({ status: 200, body: { tenant: { id: tenant.id } } });
  });

  it("an account that is not verified does not switch into a tenant that asks for it", async () => {
    const node = await people.openNode({ emailVerification: "optional" });
    try {
      const strict = await people.newTenant({ settings: { email_verification: "required" } });
      const email = people.newEmail();
      const send = (url: string, payload: object, token = "") =>
        node.inject({
          method: "POST",
          url: `${path}/${url}`,
          headers: token ? { authorization: `Bearer ${token}` } : {},
          payload,
        });
      const registered = (await send("register", { email, password })).json();
      await people.makeOwner(strict, registered.user);
      const core = (await send("login", { email, password })).json();
      expect(core.tenant).toBeNull();
      const reply = await send("switch", { tenant: strict.key }, core.token);
      expect([reply.statusCode, reply.json().code]).toEqual([403, "email_not_verified"]);
    } finally {
      await node.close();
    }
  });
});
