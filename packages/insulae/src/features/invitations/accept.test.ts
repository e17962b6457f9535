import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crashAt } from "../../testing/crash-at.ts";
import { invitationsOf, outcome } from "../../testing/test-invitations.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
let inviting: ReturnType<typeof invitationsOf>;
beforeAll(async () => {
  people = await openTestPeople();
  inviting = invitationsOf(people);
});
afterAll(() => people?.close());

describe("an invitation is void", () => {
  it("when it is edited, made up, or of another kind", async () => {
    const { owner } = await inviting.newTenant();
    const email = people.newEmail();
    const { secret } = await inviting.invited(owner, email);
    const edited = `${secret.slice(0, -2)}${secret.endsWith("AA") ? "BB" : "AA"}`;
    const { account } = await people.newAccount();
    const verification = await people.tokenTo(account.email);
    for (const wrong of [edited, "x", randomUUID(), verification]) {
      expect(outcome(await inviting.acceptNew(wrong))).toBe("invalid_link");
      expect(outcome(await inviting.preview(wrong))).toBe("invalid_link");
    }
    const elsewhere = await people.post("/api/v1/auth/verify-email", { body: { token: secret } });
    expect(outcome(elsewhere)).toBe("invalid_link");
    expect((await people.get("/api/v1/auth/me", { token: secret })).status).toBe(401);
  });

  it("at another tenant's host or with its header", async () => {
    const { owner } = await inviting.newTenant();
    const { tenant: other } = await inviting.newTenant();
    const account = await inviting.newAccount();
    const { secret } = await inviting.invited(owner, account.email);
    const at = { tenant: other.key };
    expect(outcome(await inviting.preview(secret, at))).toBe("invalid_link");
    const fresh = await inviting.invited(owner, people.newEmail());
    const body = { token: fresh.secret, password: people.password };
    expect(outcome(await inviting.accept(body, at))).toBe("invalid_link");
    expect(await inviting.usersWith(other, account.email)).toEqual([]);
  });

  it("for an account with another e-mail, or with one that is not verified", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const [other, unverified] = [await inviting.newAccount(), await inviting.newAccount(false)];
    const { secret } = await inviting.invited(owner, people.newEmail());
    expect(outcome(await inviting.accept({ token: secret }, other))).toBe("invitation_for_another");
    const { secret: own } = await inviting.invited(owner, unverified.email);
    expect(outcome(await inviting.accept({ token: own }, unverified))).toBe("email_not_verified");
    expect(await inviting.usersWith(tenant, unverified.email)).toEqual([]);
  });

  it("when its token says another e-mail than it was sent to", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const eve = await inviting.newAccount();
    const { id, secret } = await inviting.invited(owner, people.newEmail());
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.one_time_tokens")
        .set({ detail: JSON.stringify({ email: eve.email, sending: "1" }) })
        .where("subject_id", "=", id)
        .execute(),
    );
    expect(outcome(await inviting.accept({ token: secret }, eve))).toBe("invalid_link");
    expect(await inviting.usersWith(tenant, eve.email)).toEqual([]);
  });

  it("for machines, for who acts as somebody else, and for users without an account", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const { tenant: other, owner: invitee } = await inviting.newTenant();
    const { secret } = await inviting.invited(owner, invitee.account.email);
    const { body: key } = await people.post("/api/v1/api-keys", {
      token: invitee.token,
      body: { name: "k", scopes: ["users:write"] },
    });
    expect(outcome(await inviting.accept({ token: secret }, { token: key.key }))).toBe(
      "personal_only",
    );
    const administrator = await people.admin();
    const { body: acting } = await people.post("/api/v1/platform/impersonations", {
      token: administrator.token,
      body: { tenant: other.key, user_id: invitee.user.id, reason: "a test", minutes: 5 },
    });
    expect(outcome(await inviting.accept({ token: secret }, { token: acting.token }))).toBe(
      "personal_only",
    );
    const own = await people.addUser(other, invitee, { password: people.password });
    expect(outcome(await inviting.accept({ token: secret }, own))).toBe("no_account");
    expect(await inviting.usersWith(tenant, invitee.account.email)).toEqual([]);
  });

  it("for who is a user of the tenant already", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const account = await inviting.newAccount();
    const { secret } = await inviting.invited(owner, account.email);
    await people.addUser(tenant, owner, { email: account.email });
    expect(outcome(await inviting.accept({ token: secret }, account))).toBe("already_member");
    expect(await inviting.usersWith(tenant, account.email)).toMatchObject([{ account_id: null }]);
  });

  it("in a tenant that was suspended or deleted, and in a new one with its key", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const account = await inviting.newAccount();
    const { id, secret } = await inviting.invited(owner, account.email);
    await people.suspend(tenant);
    expect(outcome(await inviting.preview(secret))).toBe("invalid_link");
    await people.app.tenants.delete(tenant.id);
    const again = await people.newTenant({ key: tenant.key });
    expect(outcome(await inviting.preview(secret))).toBe("invalid_link");
    for (const body of [{ token: secret }, { invitation_id: id }]) {
      expect(outcome(await inviting.accept(body, account))).toBe("invalid_link");
    }
    const { body } = await people.get("/api/v1/auth/tenants", account);
    expect(body.invitations).toEqual([]);
    expect(await inviting.usersWith(again, account.email)).toEqual([]);
  });
});

describe("accepted several times at once, an invitation makes one user", () => {
  it("of somebody new", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const email = people.newEmail();
    const { secret } = await inviting.invited(owner, email);
    const answers = await Promise.all(Array.from({ length: 6 }, () => inviting.acceptNew(secret)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(await inviting.usersWith(tenant, email)).toHaveLength(1);
    expect(await inviting.membershipsOf(tenant, email)).toHaveLength(1);
  });

  it("of an account", async () => {
    for (let round = 0; round < 5; round += 1) {
      const { tenant, owner } = await inviting.newTenant();
      const account = await inviting.newAccount();
      const { secret } = await inviting.invited(owner, account.email);
      const answers = await Promise.all(
        Array.from({ length: 6 }, () => inviting.accept({ token: secret }, account)),
      );
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
      const losers = answers.filter(({ status }) => status !== 201).map(outcome);
      for (const loser of losers) expect(["already_member", "invalid_link"]).toContain(loser);
      expect(await inviting.usersWith(tenant, account.email)).toHaveLength(1);
      expect(await inviting.membershipsOf(tenant, account.email)).toHaveLength(1);
    }
  });
});

describe("after a crash", () => {
  it("between the user and the membership, accepting again goes on", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const account = await inviting.newAccount();
    const { secret } = await inviting.invited(owner, account.email, { role: "manager" });
    await crashAt(people.app, "insert", "memberships", async () => {
      expect((await inviting.accept({ token: secret }, account)).status).toBe(500);
    });
    expect(await inviting.usersWith(tenant, account.email)).toMatchObject([{ role: "manager" }]);
    expect(await inviting.membershipsOf(tenant, account.email)).toEqual([]);
    // A user without a membership can't sign in.
    const body = { email: account.email, password: people.password };
    expect((await people.post("/api/v1/auth/login", { tenant: tenant.key, body })).status).toBe(
      401,
    );
    const again = await inviting.accept({ token: secret }, account);
    expect(again).toMatchObject({ status: 201, body: { user: { role: "manager" } } });
    expect(await inviting.usersWith(tenant, account.email)).toHaveLength(1);
    expect(outcome(await inviting.accept({ token: secret }, account))).toBe("invalid_link");
  });

  it("behind the account of somebody new, they sign in with it and accept", async () => {
    const { tenant, owner } = await inviting.newTenant();
    const email = people.newEmail();
    const { secret } = await inviting.invited(owner, email);
    await crashAt(people.app, "insert", "memberships", async () => {
      expect((await inviting.acceptNew(secret)).status).toBe(500);
    });
    expect(outcome(await inviting.acceptNew(secret))).toBe("account_exists");
    const body = { email, password: people.password };
    const { body: signedIn } = await people.post("/api/v1/auth/login", { body });
    const { token } = signedIn;
    expect(outcome(await inviting.accept({ token: secret }, { token }))).toBe("done");
    expect(await inviting.membershipsOf(tenant, email)).toHaveLength(1);
  });
});
