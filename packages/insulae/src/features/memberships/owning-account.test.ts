import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { masterTenant } from "../../dialects/master-tenant.ts";
import { uuidV5 } from "../../kernel/lib/uuid.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople({ features: [masterTenant] });
});
afterAll(() => people?.close());

const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;

/** A tenant with the account that owns it, and another owner. */
async function newTenant() {
  const { account, token: core } = await people.newAccount();
  const tenant = await people.newTenant({ ownerAccountId: account.id });
  await people.makeOwner(tenant, account);
  const { user, token } = await people.logIn(tenant, account.email);
  const second = await people.newOwner(tenant);
  return { tenant, owner: { account, user, token, core }, second };
}

/** As if the user had been changed before this was refused. */
const setUser = (tenant: Tenant, id: string, change: string) =>
  people.onTenant(tenant, (db) => db.query(`update users set ${change} where id = $1`, [id]));
const transfer = (token: string, { key }: Tenant, user: { readonly id: string }) =>
  people.post(`/api/v1/tenants/${key}/transfer`, { token, body: { user_id: user.id } });

describe("the user of the account that owns the tenant", () => {
  it("is not deleted, switched off or demoted by another owner", async () => {
    const { tenant, owner, second } = await newTenant();
    const { token } = second;
    const path = `/api/v1/users/${owner.user.id}`;
    const attempts = [
      await people.delete(path, { token }),
      await people.patch(path, { token, body: { is_active: false } }),
      await people.patch(path, { token, body: { role: "admin" } }),
      await people.post(`${path}/roles`, { token, body: { role: "viewer" } }),
      await people.delete(`${path}/roles/${uuidV5("owner")}`, { token }),
    ];
    for (const attempt of attempts) expect(outcome(attempt)).toBe("owns_tenant");
    const ofDialect = await people.delete(`/api/users?id=${owner.user.id}`, { token });
    expect(ofDialect).toMatchObject({
      status: 409,
      body: { message: expect.stringContaining("owns the tenant") },
    });
    const body = { first_name: "Ada", role: "owner", is_active: true };
    expect(outcome(await people.patch(path, { token, body }))).toBe("done");
    expect(outcome(await transfer(owner.token, tenant, second.user))).toBe("done");
    expect(outcome(await people.delete(path, { token }))).toBe("done");
  });

  it("may be mended by another owner, step by step", async () => {
    const { tenant, owner, second } = await newTenant();
    await setUser(tenant, owner.user.id, "role = 'viewer', is_active = false");
    const path = `/api/v1/users/${owner.user.id}`;
    for (const body of [{ is_active: true }, { role: "owner" }]) {
      expect(outcome(await people.patch(path, { token: second.token, body }))).toBe("done");
    }
  });
});

describe("an account that owns a tenant on paper only", () => {
  it.each(["role = 'admin'", "is_active = false", "account_id = null"])(
    "does not rule it from outside: %s",
    async (change) => {
      const { tenant, owner, second } = await newTenant();
      const { core: token } = owner;
      const path = `/api/v1/tenants/${tenant.key}`;
      expect(outcome(await people.get(path, { token }))).toBe("done");
      await setUser(tenant, owner.user.id, change);
      const member = await people.newOwner(tenant);
      await setUser(tenant, member.user.id, "role = 'user'");
      const attempts = [
        await people.get(path, { token }),
        await people.get(`${path}/config`, { token }),
        await people.get(`${path}/usage`, { token }),
        await people.patch(path, { token, body: { name: "Mine" } }),
        await people.post(`${path}/hosts`, { token, body: { hostname: "www.acme.example" } }),
      ];
      for (const attempt of attempts) expect(outcome(attempt)).toBe("tenant_not_found");
      expect(outcome(await transfer(token, tenant, member.user))).not.toBe("done");
      const { ownerAccountId } = await people.app.tenants.get(tenant.id);
      expect(ownerAccountId).toBe(owner.account.id);
      // A platform administrator mends it.
      const admin = await people.admin();
      const given = await transfer(admin.token, tenant, second.user);
      expect(given.body).toMatchObject({ owner_account_id: second.account.id });
      const mails = await people.mailsTo(second.account.email, 2);
      expect(mails.at(-1)?.text).toContain("A platform administrator has transferred");
    },
  );

  it("gets no higher role by giving it to somebody who is an owner already", async () => {
    const { tenant, owner, second } = await newTenant();
    await setUser(tenant, owner.user.id, "role = 'viewer'");
    expect(outcome(await transfer(owner.core, tenant, second.user))).toBe("done");
    const rows = await people.onTenant(tenant, (db) =>
      db.query("select role from users where id = $1", [owner.user.id]),
    );
    expect(rows).toEqual([{ role: "viewer" }]);
  });

  it("may be given a tenant that nobody owns, by a platform administrator", async () => {
    const tenant = await people.newTenant();
    const heir = await people.newOwner(tenant);
    expect(outcome(await transfer(heir.token, tenant, heir.user))).toBe("tenant_not_found");
    const admin = await people.admin();
    expect(outcome(await transfer(admin.token, tenant, heir.user))).toBe("done");
  });
});
