import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AccountId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { crashAt } from "../../testing/crash-at.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

interface Caller {
  readonly token: string;
}

/** A tenant with the account that owns it, signed in there. */
async function newTenant() {
  const { account, token: core } = await people.newAccount();
  const tenant = await people.newTenant({ ownerAccountId: account.id });
  await people.makeOwner(tenant, account);
  const { user, token } = await people.logIn(tenant, account.email);
  return { tenant, owner: { account, user, token, core } };
}

/** An account that is a user of the tenant, as if it had joined, with tokens for the core and for there. */
async function newMember(tenant: Tenant, role = "user") {
  const { account, token: core } = await people.newAccount();
  await people.makeOwner(tenant, account);
  await people.onTenant(tenant, (db) =>
    db.query("update users set role = $1 where account_id = $2", [role, account.id]),
  );
  return { account, core, ...(await people.logIn(tenant, account.email)) };
}

const ownTenants = async ({ token }: Caller) => {
  const { body } = await people.get("/api/v1/auth/tenants", { token });
  return body;
};
const leave = ({ token }: Caller, { key }: Tenant) =>
  people.post(`/api/v1/tenants/${key}/leave`, { token });
const transfer = ({ token }: Caller, { key }: Tenant, user: { readonly id: string }) =>
  people.post(`/api/v1/tenants/${key}/transfer`, { token, body: { user_id: user.id } });
const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;

const membersOf = (tenant: Tenant) =>
  people.onPlatform(({ control }) =>
    control
      .selectFrom("control.memberships")
      .select("account_id")
      .where("tenant_id", "=", tenant.id)
      .execute(),
  );
const userOf = async (tenant: Tenant, account: { readonly id: AccountId }) => {
  const rows = await people.onTenant(tenant, (db) =>
    db.query("select id, role from users where account_id = $1", [account.id]),
  );
  return rows[0];
};

describe("leaving a tenant", () => {
  it("deletes the user and the membership, and ends the sessions there", async () => {
    const { tenant, owner } = await newTenant();
    const member = await newMember(tenant);
    const listed = await ownTenants({ token: member.core });
    expect(listed.memberships).toMatchObject([
      { tenant: { id: tenant.id, key: tenant.key }, user_id: member.user.id, is_owner: false },
    ]);
    expect(outcome(await leave({ token: member.core }, tenant))).toBe("done");
    expect((await people.get("/api/v1/auth/me", { token: member.token })).status).toBe(401);
    const body = { refresh_token: member.refreshToken };
    expect((await people.post("/api/v1/auth/refresh", { body })).status).toBe(401);
    expect((await ownTenants({ token: member.core })).memberships).toEqual([]);
    const switching = { token: member.core, body: { tenant: tenant.key } };
    expect(outcome(await people.post("/api/v1/auth/switch", switching))).toBe("tenant_not_found");
    const list = await people.get("/api/v1/users?total=true", { token: owner.token });
    expect(list.body.total).toBe(1);
    const log = await people.get("/api/v1/audit?action=membership.left", { token: owner.token });
    expect(log.body.items).toMatchObject([
      { actor_id: member.account.id, target_type: "user", target_id: member.user.id },
    ]);
  });

  it("is for users too, with an account or without", async () => {
    const { tenant, owner } = await newTenant();
    const linked = await newMember(tenant, "admin");
    const own = await people.addUser(tenant, owner, { password: people.password });
    for (const member of [linked, own]) {
      expect(outcome(await leave(member, tenant))).toBe("done");
      expect((await people.get("/api/v1/auth/me", { token: member.token })).status).toBe(401);
    }
    expect(await membersOf(tenant)).toEqual([{ account_id: owner.account.id }]);
  });

  it("is not for the last owner, nor for the account that owns the tenant", async () => {
    const { tenant, owner } = await newTenant();
    expect(outcome(await leave(owner, tenant))).toBe("owns_tenant");
    const second = await newMember(tenant, "owner");
    expect(outcome(await leave({ token: owner.core }, tenant))).toBe("owns_tenant");
    expect(outcome(await leave(second, tenant))).toBe("done");

    const nobodys = await people.newTenant();
    const last = await newMember(nobodys, "owner");
    expect(outcome(await leave(last, nobodys))).toBe("last_owner");
    expect(await membersOf(nobodys)).toEqual([{ account_id: last.account.id }]);
  });

  it("leaves one owner when all go at once, or remove each other", async () => {
    for (let round = 0; round < 6; round += 1) {
      const tenant = await people.newTenant();
      const owners = [await newMember(tenant, "owner"), await newMember(tenant, "owner")];
      const [first, second] = owners;
      await Promise.all([
        ...owners.map((owner) => leave(owner, tenant)),
        ...(first && second && round % 2 === 1
          ? [people.delete(`/api/v1/users/${second.user.id}`, first)]
          : []),
      ]);
      const left = await people.onTenant(tenant, (db) =>
        db.query("select account_id from users where role = 'owner' and is_active"),
      );
      expect(left).toHaveLength(1);
      expect(await membersOf(tenant)).toEqual(left);
    }
  });

  it("is not for who was switched off: they could come back as somebody new", async () => {
    const { tenant, owner } = await newTenant();
    const member = await newMember(tenant);
    const body = { is_active: false };
    await people.patch(`/api/v1/users/${member.user.id}`, { token: owner.token, body });
    expect(outcome(await leave({ token: member.core }, tenant))).toBe("user_not_found");
    expect(await userOf(tenant, member.account)).toBeDefined();
  });

  it("says nothing of a tenant that somebody is not in", async () => {
    const { tenant } = await newTenant();
    const { owner: stranger } = await newTenant();
    const account = await people.newAccount();
    const unknown = { key: "nobodys-tenant" } as Tenant;
    for (const caller of [stranger, { token: stranger.core }, account]) {
      const [foreign, missing] = [await leave(caller, tenant), await leave(caller, unknown)];
      expect(outcome(foreign)).toBe("tenant_not_found");
      expect({ ...foreign.body, request_id: "" }).toEqual({ ...missing.body, request_id: "" });
    }
  });

  it("is mended by the next attempt when a crash left the membership", async () => {
    const { tenant, owner } = await newTenant();
    const member = await newMember(tenant);
    const core = { token: member.core };
    await crashAt(people.app, "delete", "memberships", async () => {
      expect((await leave(core, tenant)).status).toBe(500);
    });
    expect(await userOf(tenant, member.account)).toBeUndefined();
    expect(await membersOf(tenant)).toHaveLength(2);
    expect((await people.get("/api/v1/auth/me", { token: member.token })).status).toBe(401);
    expect(outcome(await leave(core, tenant))).toBe("user_not_found");
    expect(await membersOf(tenant)).toEqual([{ account_id: owner.account.id }]);
  });
});

describe("a user who is deleted by an admin", () => {
  it("is no member any more, and their sessions have ended", async () => {
    const { tenant, owner } = await newTenant();
    const member = await newMember(tenant);
    const path = `/api/v1/users/${member.user.id}`;
    expect((await people.delete(path, { token: owner.token })).status).toBe(204);
    expect((await people.get("/api/v1/auth/me", { token: member.token })).status).toBe(401);
    const body = { refresh_token: member.refreshToken };
    expect((await people.post("/api/v1/auth/refresh", { body })).status).toBe(401);
    expect((await ownTenants({ token: member.core })).memberships).toEqual([]);
    expect(await membersOf(tenant)).toEqual([{ account_id: owner.account.id }]);
  });

  it("is no member after a crash either, once somebody tries again", async () => {
    const { tenant, owner } = await newTenant();
    const member = await newMember(tenant);
    const path = `/api/v1/users/${member.user.id}`;
    await crashAt(people.app, "delete", "memberships", async () => {
      expect((await people.delete(path, { token: owner.token })).status).toBe(500);
    });
    expect((await people.get("/api/v1/auth/me", { token: member.token })).status).toBe(401);
    expect(outcome(await people.delete(path, { token: owner.token }))).toBe("user_not_found");
    expect(await membersOf(tenant)).toEqual([{ account_id: owner.account.id }]);
  });

  it("stays one while they are only changed", async () => {
    const { tenant, owner } = await newTenant();
    const member = await newMember(tenant);
    const body = { role: "viewer" };
    await people.patch(`/api/v1/users/${member.user.id}`, { token: owner.token, body });
    expect((await ownTenants({ token: member.core })).memberships).toHaveLength(1);
  });
});

describe("the tenants of an account", () => {
  it("include those that its e-mail opens, once it is verified", async () => {
    const { tenant } = await newTenant();
    const domain = `d${randomUUID()}.example`;
    await people.onPlatform(({ control }) =>
      control
        .insertInto("control.email_domains")
        .values({ tenant_id: tenant.id, domain, token: "t", role: "viewer" })
        .execute(),
    );
    const set = (proven: Date | null) =>
      people.onPlatform(({ control }) =>
        control
          .updateTable("control.email_domains")
          .set({ proven_at: proven })
          .where("domain", "=", domain)
          .execute(),
      );
    await set(new Date());
    const email = `ada@${domain}`;
    const { token } = await people.register(undefined, { email });
    expect((await ownTenants({ token })).joinable).toEqual([]);
    const body = { token: await people.tokenTo(email) };
    expect((await people.post("/api/v1/auth/verify-email", { body })).status).toBe(204);
    expect((await ownTenants({ token })).joinable).toMatchObject([
      { tenant: { id: tenant.id }, domain, role: "viewer" },
    ]);
    await set(null);
    expect((await ownTenants({ token })).joinable).toEqual([]);
    await set(new Date());
    await people.suspend(tenant);
    expect((await ownTenants({ token })).joinable).toEqual([]);
  });

  it("are the same from within a tenant; a user without an account has none", async () => {
    const { tenant, owner } = await newTenant();
    expect((await ownTenants(owner)).memberships).toMatchObject([{ is_owner: true }]);
    const own = await people.addUser(tenant, owner, { password: people.password });
    expect(outcome(await people.get("/api/v1/auth/tenants", own))).toBe("no_account");
  });

  it("are not those that were deleted, nor new ones with their keys", async () => {
    const { tenant } = await newTenant();
    const member = await newMember(tenant);
    await people.app.tenants.delete(tenant.id);
    const again = await people.newTenant({ key: tenant.key });
    expect((await ownTenants({ token: member.core })).memberships).toEqual([]);
    expect(outcome(await leave({ token: member.core }, again))).toBe("tenant_not_found");
    const switching = { token: member.core, body: { tenant: again.key } };
    expect(outcome(await people.post("/api/v1/auth/switch", switching))).toBe("tenant_not_found");
  });
});

describe("leaving and giving away", () => {
  it("take a token of the core or of that tenant", async () => {
    const { tenant } = await newTenant();
    const member = await newMember(tenant);
    const elsewhere = await people.newTenant();
    await people.makeOwner(elsewhere, member.account);
    const other = await people.logIn(elsewhere, member.account.email);
    expect(outcome(await leave(other, tenant))).toBe("tenant_not_found");
    expect(await userOf(tenant, member.account)).toBeDefined();
    expect(outcome(await leave({ token: member.core }, tenant))).toBe("done");
  });

  it("take a fresh proof of who it is", async () => {
    const { tenant, owner } = await newTenant();
    const heir = await newMember(tenant);
    const age = () =>
      people.onPlatform(({ control }) =>
        control
          .updateTable("control.sessions")
          .set({ proved_at: new Date(Date.now() - 3_600_000) })
          .execute(),
      );
    await age();
    for (const reply of [await transfer(owner, tenant, heir.user), await leave(heir, tenant)]) {
      expect(reply.body).toMatchObject({ status: 403, code: "reauthentication_required" });
    }
    const proof = { token: owner.token, body: { password: people.password } };
    expect((await people.post("/api/v1/auth/reauthenticate", proof)).status).toBe(204);
    expect(outcome(await transfer(owner, tenant, heir.user))).toBe("done");
  });
});

describe("a transfer of ownership", () => {
  it("gives the tenant and the roles, and tells both", async () => {
    const { tenant, owner } = await newTenant();
    const heir = await newMember(tenant, "viewer");
    const given = await transfer(owner, tenant, heir.user);
    expect(given).toMatchObject({ status: 200, body: { owner_account_id: heir.account.id } });
    expect((await userOf(tenant, owner.account))?.role).toBe("admin");
    expect((await userOf(tenant, heir.account))?.role).toBe("owner");
    const me = await people.get("/api/v1/auth/me", { token: heir.token });
    expect(me.body.role).toBe("owner");
    expect(outcome(await transfer(owner, tenant, heir.user))).toBe("tenant_not_found");
    for (const { account } of [owner, heir]) {
      const mails = await people.mailsTo(account.email, 2);
      const mail = mails.find(({ template }) => template === "ownership_transferred");
      expect(mail?.text).toContain(`${owner.account.email} has transferred`);
    }
    const log = await people.get("/api/v1/audit?action=tenant.transferred", { token: heir.token });
    expect(log.body.items).toMatchObject([
      { detail: { from_account: owner.account.id, to_account: heir.account.id } },
    ]);
    expect(outcome(await leave(owner, tenant))).toBe("done");
  });

  it("is for the account that owns the tenant, and for nobody else", async () => {
    const { tenant, owner } = await newTenant();
    const { owner: stranger } = await newTenant();
    const heir = await newMember(tenant);
    const second = await newMember(tenant, "owner");
    // The owner's, but of another tenant.
    const elsewhere = await people.newTenant();
    await people.makeOwner(elsewhere, owner.account);
    const { token } = await people.logIn(elsewhere, owner.account.email);
    for (const caller of [stranger, { token: stranger.core }, second, heir, { token }]) {
      expect(outcome(await transfer(caller, tenant, heir.user))).toBe("tenant_not_found");
    }
    expect((await userOf(tenant, heir.account))?.role).toBe("user");
  });

  it("goes to an active user of the tenant with an account", async () => {
    const { tenant, owner } = await newTenant();
    const { owner: stranger } = await newTenant();
    const { user: own } = await people.addUser(tenant, owner, {});
    const retired = await newMember(tenant);
    const body = { is_active: false };
    await people.patch(`/api/v1/users/${retired.user.id}`, { token: owner.token, body });
    const deactivated = await newMember(tenant);
    await people.deactivateAccount(deactivated.account.id);
    const users = [own, retired.user, deactivated.user, stranger.user, owner.user];
    for (const user of [...users, { id: randomUUID() }]) {
      expect(outcome(await transfer(owner, tenant, user))).toBe("not_transferable");
    }
    expect((await people.app.tenants.get(tenant.id)).ownerAccountId).toBe(owner.account.id);
    expect((await userOf(tenant, owner.account))?.role).toBe("owner");
  });

  it("happens once, of several at once", async () => {
    for (let round = 0; round < 5; round += 1) {
      const { tenant, owner } = await newTenant();
      const heirs = [await newMember(tenant), await newMember(tenant), await newMember(tenant)];
      const answers = await Promise.all(heirs.map(({ user }) => transfer(owner, tenant, user)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      const winner = heirs[answers.findIndex(({ status }) => status === 200)];
      expect((await people.app.tenants.get(tenant.id)).ownerAccountId).toBe(winner?.account.id);
      const owners = await people.onTenant(tenant, (db) =>
        db.query("select id from users where role = 'owner'"),
      );
      expect(owners).toEqual([{ id: winner?.user.id }]);
    }
  });

  it("is asked for again when a crash left it half done, and nobody is without an owner", async () => {
    const { tenant, owner } = await newTenant();
    const heir = await newMember(tenant);
    await crashAt(people.app, "insert", "mails", async () => {
      expect((await transfer({ token: owner.core }, tenant, heir.user)).status).toBe(500);
    });
    expect((await people.app.tenants.get(tenant.id)).ownerAccountId).toBe(owner.account.id);
    expect((await userOf(tenant, heir.account))?.role).toBe("owner");
    expect(outcome(await transfer({ token: owner.core }, tenant, heir.user))).toBe("done");
    expect((await people.app.tenants.get(tenant.id)).ownerAccountId).toBe(heir.account.id);
    expect((await userOf(tenant, owner.account))?.role).toBe("admin");
  });
});
