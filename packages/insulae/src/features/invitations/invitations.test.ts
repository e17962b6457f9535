import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crashAt } from "../../testing/crash-at.ts";
import { type Caller, invitationsOf, outcome } from "../../testing/test-invitations.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
let inviting: ReturnType<typeof invitationsOf>;
beforeAll(async () => {
  people = await openTestPeople();
  inviting = invitationsOf(people);
});
afterAll(() => people?.close());

describe("an invitation", () => {
  it("makes somebody new a user, with the roles it gives, and signs them in", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const role = await people.post("/api/v1/roles", {
      token: owner.token,
      body: { name: "Bookkeeper", permissions: ["users:write"] },
    });
    const email = people.newEmail();
    const { id, secret } = await inviting.invited(owner, email, {
      role: "viewer",
      roles: ["bookkeeper"],
    });
    expect(await inviting.list(owner)).toMatchObject([
      { id, email, role: "viewer", roles: ["Bookkeeper"], sent_by: owner.user.id },
    ]);
    expect((await inviting.preview(secret)).body).toMatchObject({
      tenant: { id: tenant.id, name: tenant.name },
      email,
      role: "viewer",
      roles: ["Bookkeeper"],
      has_account: false,
    });
    const accepted = await inviting.acceptNew(secret, { first_name: "Ada" });
    expect(accepted.status, accepted.text).toBe(201);
    expect(accepted.body).toMatchObject({
      tenant: { id: tenant.id },
      user: { email, first_name: "Ada", role: "viewer", email_verified: true },
    });
    const me = await people.get("/api/v1/auth/me", { token: accepted.body.token });
    expect(me.body.permissions).toContain("users:write");
    const roles = await people.get(`/api/v1/users/${me.body.user.id}/roles`, owner);
    expect(roles.body.items).toMatchObject([{ name: "viewer" }, { id: role.body.id }]);

    expect(await inviting.list(owner)).toEqual([]);
    expect(outcome(await inviting.preview(secret))).toBe("invalid_link");
    expect(outcome(await inviting.accept({ token: secret }))).toBe("invalid_link");
    expect((await people.logIn(tenant, email)).user.email).toBe(email);
    const log = await people.get("/api/v1/audit?action=invitation.accepted", owner);
    expect(log.body.items).toMatchObject([
      { actor_name: email, target_id: me.body.user.id, detail: { sent_by: owner.user.id } },
    ]);
  });

  it("that nobody can accept any more is shown as void, and blocks no other", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const admin = await people.addUser(tenant, owner, { role: "admin", password: people.password });
    const [left, joined] = [people.newEmail(), people.newEmail()];
    const [waiting, late] = [people.newEmail(), people.newEmail()];
    // Was there before, which whoever invites is not told.
    const member = owner.account.email;
    await inviting.invited(admin, left);
    await inviting.invited(owner, joined);
    for (const email of [waiting, late]) await inviting.invited(owner, email);
    expect((await inviting.invite(owner, member)).status).toBe(201);
    await people.onTenant(tenant, async (db) => {
      await db.query("update invitations set expires_at = now() where email = $1", [late]);
      await db.query("delete from users where id = $1", [admin.user.id]);
      await db.query("insert into users (email, role) values ($1, 'user')", [joined]);
    });
    const stateOf = async (email: string) =>
      (await inviting.list(owner)).find((one: { email: string }) => one.email === email).state;
    expect(await Promise.all([left, joined, waiting, late, member].map(stateOf))).toEqual([
      ...["void", "void", "waiting", "expired", "waiting"],
    ]);
    for (const email of [left, joined])
      expect((await inviting.invite(owner, email)).status).toBe(201);
    expect((await inviting.invite(owner, waiting)).body.code).toBe("invitation_exists");
  });

  it("is accepted by an account that is signed in, from the core or from another tenant", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const { owner: elsewhere } = await inviting.newTenant();
    const inCore = await inviting.newAccount();
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.accounts")
        .set({ email_verified: true })
        .where("id", "=", elsewhere.account.id)
        .execute(),
    );
    for (const [email, { token }] of [
      [inCore.email, inCore],
      [elsewhere.account.email, elsewhere],
    ] as const) {
      const { secret } = await inviting.invited(owner, email, { role: "manager" });
      expect((await inviting.preview(secret)).body.has_account).toBe(true);
      expect(outcome(await inviting.acceptNew(secret))).toBe("account_exists");
      const accepted = await inviting.accept({ token: secret }, { token });
      expect(accepted).toMatchObject({ status: 201, body: { tenant: { id: tenant.id } } });
      expect(await inviting.usersWith(tenant, email)).toMatchObject([{ role: "manager" }]);
      expect(await inviting.membershipsOf(tenant, email)).toHaveLength(1);
      expect(outcome(await inviting.accept({ token: secret }, { token }))).toBe("invalid_link");
    }
  });

  it("signs a browser in by a cookie, if it asks", async () => {
    const { owner } = await inviting.newTenant();
    const email = people.newEmail();
    const { secret } = await inviting.invited(owner, email);
    const accepted = await inviting.acceptNew(secret, { session: "cookie" });
    expect(accepted.headers["set-cookie"]).toMatch(/^__Host-/);
    expect(accepted.body).not.toHaveProperty("token");
  });

  it("is answered the same for an e-mail that is nobody's, an account's, a user's", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const { user } = await people.addUser(tenant, owner, {});
    const { account } = await people.newAccount();
    const emails = [people.newEmail(), account.email, user.email];
    const answers = await Promise.all(emails.map((email) => inviting.invite(owner, email)));
    const same = answers.map(({ status, body, headers }, i) => [
      status,
      { ...body, id: "", created_at: "", expires_at: "", email: body.email === emails[i] },
      Object.keys(headers).sort(),
    ]);
    expect(same[1]).toEqual(same[0]);
    expect(same[2]).toEqual(same[0]);
    expect(await inviting.list(owner)).toHaveLength(3);
    const again = await Promise.all(emails.map((email) => inviting.invite(owner, email)));
    expect(again.map(outcome)).toEqual(Array(3).fill("invitation_exists"));
    // A user has nothing to accept.
    const mails = await people.mailsTo(user.email, 2);
    expect(mails.find(({ template }) => template === "invitation")?.text).not.toContain("token=");
  });

  it("waits for who verifies the e-mail, and needs no token then", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const [invitee, other] = [await inviting.newAccount(false), await inviting.newAccount()];
    const { id } = await inviting.invited(owner, invitee.email);
    const waiting = async ({ token }: Caller) =>
      (await people.get("/api/v1/auth/tenants", { token })).body.invitations;
    const claim = ({ token }: Caller) => inviting.accept({ invitation_id: id }, { token });
    expect(await waiting(invitee)).toEqual([]);
    expect(outcome(await claim(invitee))).toBe("invalid_link");
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.accounts")
        .set({ email_verified: true })
        .where("id", "=", invitee.account.id)
        .execute(),
    );
    expect(await waiting(other)).toEqual([]);
    expect(outcome(await claim(other))).toBe("invalid_link");
    expect(outcome(await inviting.accept({ invitation_id: id, password: people.password }))).toBe(
      "invalid_link",
    );
    expect(await waiting(invitee)).toMatchObject([{ id, tenant: { id: tenant.id }, role: "user" }]);
    expect(outcome(await claim(invitee))).toBe("done");
    expect(await waiting(invitee)).toEqual([]);
  });

  it("is replaced by the next one, and gone when it is revoked", async () => {
    const { owner } = await inviting.newTenant();
    const email = people.newEmail();
    const { id, secret: first } = await inviting.invited(owner, email);
    expect((await people.post(`/api/v1/invitations/${id}/resend`, owner)).status).toBe(200);
    expect(outcome(await inviting.acceptNew(first))).toBe("invalid_link");
    const second = await inviting.tokenOf(email, 2);
    expect(outcome(await inviting.preview(first))).toBe("invalid_link");
    expect(outcome(await inviting.preview(second))).toBe("done");
    expect((await people.delete(`/api/v1/invitations/${id}`, owner)).status).toBe(204);
    expect(outcome(await inviting.acceptNew(second))).toBe("invalid_link");
    expect(outcome(await people.delete(`/api/v1/invitations/${id}`, owner))).toBe(
      "invitation_not_found",
    );
    expect((await inviting.invite(owner, email)).status).toBe(201);
  });

  it("is replaced at once, not only when the next mail is on its way", async () => {
    const { owner } = await inviting.newTenant();
    const { id, secret } = await inviting.invited(owner, people.newEmail());
    await crashAt(people.app, "insert", "one_time_tokens", async () => {
      expect((await people.post(`/api/v1/invitations/${id}/resend`, owner)).status).toBe(200);
      expect(outcome(await inviting.preview(secret))).toBe("invalid_link");
      expect(outcome(await inviting.acceptNew(secret))).toBe("invalid_link");
    });
  });

  it("ends after seven days, or as the tenant says, and can be sent again", async () => {
    const tenant = await people.newTenant({ settings: { invitation_days: 2 } });
    const owner = await people.newOwner(tenant);
    const email = people.newEmail();
    const { id, secret } = await inviting.invited(owner, email);
    const days = (Date.parse((await inviting.list(owner))[0].expires_at) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(1.9);
    expect(days).toBeLessThanOrEqual(2);
    await people.onTenant(tenant, (db) => db.query("update invitations set expires_at = now()"));
    expect(outcome(await inviting.preview(secret))).toBe("invalid_link");
    expect(outcome(await inviting.acceptNew(secret))).toBe("invalid_link");
    expect(await inviting.findAccount(email)).toBeUndefined();
    await people.post(`/api/v1/invitations/${id}/resend`, owner);
    expect(outcome(await inviting.acceptNew(await inviting.tokenOf(email, 2)))).toBe("done");
  });

  it("takes a password that is refused without being used up", async () => {
    const { owner } = await inviting.newTenant();
    const { secret } = await inviting.invited(owner, people.newEmail());
    expect(outcome(await inviting.acceptNew(secret, { password: "password1" }))).toBe(
      "weak_password",
    );
    expect(outcome(await inviting.accept({ token: secret }))).toBe("validation_failed");
    expect(outcome(await inviting.acceptNew(secret))).toBe("done");
  });
});

describe("nobody invites to more than they hold", () => {
  it("neither a role above their own, nor a role with other permissions", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const admin = await people.addUser(tenant, owner, { role: "admin", password: people.password });
    const wide = { name: "wide", permissions: ["tenants:manage"] };
    await people.post("/api/v1/roles", { token: owner.token, body: wide });
    const email = people.newEmail();
    expect(outcome(await inviting.invite(admin, email, { role: "owner" }))).toBe("role_above_own");
    expect(outcome(await inviting.invite(admin, email, { roles: ["wide"] }))).toBe(
      "permission_not_held",
    );
    expect(outcome(await inviting.invite(admin, email, { roles: ["no such role"] }))).toBe(
      "role_not_found",
    );
    expect(outcome(await inviting.invite(admin, email, { roles: ["owner"] }))).toBe(
      "role_not_found",
    );
    const manager = { role: "manager", password: people.password };
    const lesser = await people.addUser(tenant, owner, manager);
    expect(outcome(await inviting.invite(lesser, email))).toBe("permission_denied");
    const { body: key } = await people.post("/api/v1/api-keys", {
      token: owner.token,
      body: { name: "k", scopes: ["users:write"] },
    });
    expect(outcome(await inviting.invite({ token: key.key }, email))).toBe("permission_not_held");
    expect(await inviting.list(owner)).toEqual([]);
  });

  it("nor by sending or revoking an invitation that others have sent", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const admin = await people.addUser(tenant, owner, { role: "admin", password: people.password });
    const { id, secret } = await inviting.invited(owner, people.newEmail(), { role: "owner" });
    const path = `/api/v1/invitations/${id}`;
    expect(outcome(await people.post(`${path}/resend`, admin))).toBe("role_above_own");
    expect(outcome(await people.delete(path, admin))).toBe("role_above_own");
    expect(outcome(await inviting.acceptNew(secret))).toBe("done");
  });

  it("nor by an invitation from when they held more", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const admin = { role: "admin", password: people.password };
    const changes = [
      (path: string) => people.patch(path, { token: owner.token, body: { role: "manager" } }),
      (path: string) => people.patch(path, { token: owner.token, body: { is_active: false } }),
      (path: string) => people.delete(path, owner),
    ];
    for (const change of changes) {
      const sender = await people.addUser(tenant, owner, admin);
      const email = people.newEmail();
      const { id, secret } = await inviting.invited(sender, email, { role: "admin" });
      expect((await change(`/api/v1/users/${sender.user.id}`)).status).toBeLessThan(300);
      expect(outcome(await inviting.acceptNew(secret))).toBe("invitation_lapsed");
      expect(await inviting.usersWith(tenant, email)).toEqual([]);
      await people.post(`/api/v1/invitations/${id}/resend`, owner);
      expect(outcome(await inviting.acceptNew(await inviting.tokenOf(email, 2)))).toBe("done");
    }
  });

  it("nor while the account of who sent it is switched off", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const other = await people.newOwner(tenant);
    const { secret } = await inviting.invited(other, people.newEmail());
    await people.deactivateAccount(other.account.id);
    expect(outcome(await inviting.acceptNew(secret))).toBe("invitation_lapsed");
    expect(await inviting.list(owner)).toHaveLength(1);
  });

  it("nor when whoever sent it may not add users any more", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const viewer = { role: "viewer", password: people.password };
    const sender = await people.addUser(tenant, owner, viewer);
    const { body: role } = await people.post("/api/v1/roles", {
      token: owner.token,
      body: { name: "inviting", permissions: ["users:write"] },
    });
    const path = `/api/v1/users/${sender.user.id}/roles`;
    await people.post(path, { token: owner.token, body: { role: role.id } });
    const email = people.newEmail();
    const { secret } = await inviting.invited(sender, email, { role: "viewer" });
    await people.delete(`${path}/${role.id}`, owner);
    expect(outcome(await inviting.acceptNew(secret))).toBe("invitation_lapsed");
  });

  it("nor by what a role has been given since", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const admin = await people.addUser(tenant, owner, { role: "admin", password: people.password });
    const { body: role } = await people.post("/api/v1/roles", {
      token: owner.token,
      body: { name: "growing", permissions: [] },
    });
    const { secret } = await inviting.invited(admin, people.newEmail(), { roles: ["growing"] });
    await people.post(`/api/v1/roles/${role.id}/permissions`, {
      token: owner.token,
      body: { permission: "tenants:manage" },
    });
    expect(outcome(await inviting.acceptNew(secret))).toBe("invitation_lapsed");
  });
});

describe("tenant B", () => {
  it("can't see, send or revoke the invitations of tenant A", async () => {
    const [{ owner: a }, { owner: b }] = [await inviting.newTenant(), await inviting.newTenant()];
    const { id, secret } = await inviting.invited(a, people.newEmail());
    expect(await inviting.list(b)).toEqual([]);
    const calls = (one: string) => [
      people.post(`/api/v1/invitations/${one}/resend`, b),
      people.delete(`/api/v1/invitations/${one}`, b),
    ];
    const [foreign, unknown] = [
      await Promise.all(calls(id)),
      await Promise.all(calls(randomUUID())),
    ];
    for (const [i, { status, body }] of foreign.entries()) {
      expect(status).toBe(404);
      expect({ ...body, request_id: "" }).toEqual({ ...unknown[i]?.body, request_id: "" });
    }
    expect(outcome(await inviting.acceptNew(secret))).toBe("done");
  });
});

describe("a tenant that takes no registrations", () => {
  it("says what is possible instead", async () => {
    const tenant = await people.newTenant({ settings: { registration: "closed" } });
    const domain = `d${randomUUID()}.example`;
    await people.onPlatform(async ({ control }) => {
      await control
        .insertInto("control.email_domains")
        .values({ tenant_id: tenant.id, domain, token: "t", role: "user" })
        .execute();
      await control
        .updateTable("control.email_domains")
        .set({ proven_at: new Date() })
        .where("domain", "=", domain)
        .execute();
    });
    const register = async (email: string) => {
      const body = { email, password: people.password, tenant: tenant.key };
      const answer = await people.post("/api/v1/auth/register", { body });
      expect(outcome(answer)).toBe("registration_closed");
      return answer.body.detail;
    };
    expect(await register(`ada@${domain}`)).toContain("/join");
    expect(await register(people.newEmail())).toContain("invitation");
  });
});
