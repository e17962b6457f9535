import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;
const list = (token: string | undefined, tenant: string, query = "") =>
  people.get(`/api/v1/platform/tenants/${tenant}/users${query}`, { ...(token && { token }) });

async function setUp(): Promise<{
  tenant: Tenant;
  owner: Awaited<ReturnType<TestPeople["newOwner"]>>;
}> {
  const tenant = await people.newTenant();
  return { tenant, owner: await people.newOwner(tenant) };
}

/** A platform administrator, signed in. */
async function administrator(): Promise<string> {
  const { account } = await people.admin();
  const body = { email: account.email, password: people.password };
  return (await people.post("/api/v1/auth/login", { body })).body.token;
}

describe("a tenant's users, for platform administrators", () => {
  it("are listed newest first, in pages, searched, with nothing but who they are", async () => {
    const { tenant, owner } = await setUp();
    const { user } = await people.addUser(tenant, owner, { first_name: "Grace", role: "viewer" });
    const token = await administrator();
    const { status, body } = await list(token, tenant.key);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body.items.map(({ id }: { id: string }) => id)).toEqual([user.id, owner.user.id]);
    expect(body.items[0]).toEqual({
      id: user.id,
      email: user.email,
      first_name: "Grace",
      last_name: "",
      role: "viewer",
      is_active: true,
    });
    expect((await list(token, tenant.id, "?q=grac")).body.items).toEqual([body.items[0]]);
    expect((await list(token, tenant.id, "?is_active=false")).body.items).toEqual([]);
    const first = (await list(token, tenant.id, "?limit=1")).body;
    const second = await list(token, tenant.id, `?limit=1&cursor=${first.next_cursor}`);
    expect(second.body.items).toEqual([body.items[1]]);
  });

  it("are in both audit logs, without what was searched for", async () => {
    const { tenant } = await setUp();
    const { account } = await people.admin();
    const body = { email: account.email, password: people.password };
    const { token } = (await people.post("/api/v1/auth/login", { body })).body;
    await list(token, tenant.key, "?q=somebody");
    const action = "tenant.users_listed";
    const theirs = await people.onTenant(tenant, (db) =>
      db.query("select * from audit_log where action = $1", [action]),
    );
    const ours = await people.onPlatform(({ control }) =>
      control
        .selectFrom("control.audit_log")
        .selectAll()
        .where("action", "=", action)
        .where("target_id", "=", tenant.id)
        .execute(),
    );
    for (const entries of [theirs, ours]) {
      expect(entries).toMatchObject([{ actor_kind: "account", actor_id: account.id }]);
      expect(JSON.stringify(entries)).not.toContain("somebody");
    }
  });

  it("are nobody else's business: the tenant's owner, another account, a stranger", async () => {
    const { tenant, owner } = await setUp();
    const { token: account } = await people.newAccount();
    expect(outcome(await list(owner.token, tenant.key))).toBe("permission_denied");
    expect(outcome(await list(account, tenant.key))).toBe("permission_denied");
    expect(outcome(await list(undefined, tenant.key))).toBe("authentication_required");
  });

  it("are of one tenant alone, and of none that is unknown or suspended", async () => {
    const [{ tenant, owner }, { tenant: other }] = [await setUp(), await setUp()];
    const token = await administrator();
    const found = await list(token, other.key, `?q=${owner.account.email}`);
    expect(found.body.items).toEqual([]);
    expect(outcome(await list(token, "no_such_tenant"))).toBe("tenant_not_found");
    await people.suspend(tenant);
    expect(outcome(await list(token, tenant.key))).toBe("tenant_inactive");
  });

  it("are refused without the second factor that the tenant requires", async () => {
    const { tenant } = await setUp();
    await people.app.tenants.update(tenant.id, { settings: { second_factor: "required" } });
    const token = await administrator();
    expect(outcome(await list(token, tenant.key))).toBe("administrator_needs_factor");
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.sessions")
        .set({ amr: ["pwd", "otp", "mfa"] })
        .where("id", "=", String(decodeJwt(token).sid))
        .execute(),
    );
    expect(outcome(await list(token, tenant.key))).toBe("done");
  });
});
