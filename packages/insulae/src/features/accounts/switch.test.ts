import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

/** What must not differ between two refusals: all but the request's id. */
const withoutId = ({ request_id: _id, ...problem }: Record<string, unknown>) => problem;

describe("switching", () => {
  const switchTo = (token: string, tenant: string | null) =>
    people.post("/api/v1/auth/switch", { token, body: { tenant } });

  it("goes from the core to a tenant, to another one, and back", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const { account, token } = await people.newAccount();
    await people.makeOwner(one, account);
    await people.makeOwner(two, account);
    const first = await switchTo(token, one.key);
    expect(first).toMatchObject({ status: 200, body: { tenant: { id: one.id } } });
    const second = await switchTo(first.body.token, two.id);
    expect(second).toMatchObject({ status: 200, body: { tenant: { id: two.id } } });
    expect(decodeJwt(second.body.token)).toMatchObject({ tenant_id: two.id, role: "owner" });
    const back = await switchTo(second.body.token, null);
    expect(back).toMatchObject({ status: 200, body: { tenant: null, user: { id: account.id } } });
  });

  it("does not lead into a tenant that the account is not in, as into one that does not exist", async () => {
    const [mine, foreign] = [await people.newTenant(), await people.newTenant()];
    const { account, token } = await people.newAccount();
    await people.makeOwner(mine, account);
    await people.newOwner(foreign);
    const [there, nowhere] = await Promise.all([
      switchTo(token, foreign.key),
      switchTo(token, "no_such_tenant"),
    ]);
    expect(there).toMatchObject({ status: 404, body: { code: "tenant_not_found" } });
    expect(withoutId(there.body)).toEqual(withoutId(nowhere.body));
  });

  it("does not lead into a tenant whose user of the account is inactive, or that is suspended", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const { account, token } = await people.newAccount();
    await people.makeOwner(one, account);
    await people.makeOwner(two, account);
    await people.removeUserOf(one, account);
    await people.suspend(two);
    expect(await switchTo(token, one.key)).toMatchObject({ status: 404 });
    expect(await switchTo(token, two.key)).toMatchObject({
      status: 403,
      body: { code: "tenant_inactive" },
    });
  });

  it("is nothing for a user without an account, or for nobody", async () => {
    const tenant = await people.newTenant();
    const { token } = await people.register(tenant);
    expect(await switchTo(token, null)).toMatchObject({
      status: 403,
      body: { code: "no_account" },
    });
    const nobody = await people.post("/api/v1/auth/switch", {
      body: { tenant: tenant.key },
    });
    expect(nobody).toMatchObject({ status: 401 });
  });

  it("is refused once the account is not active", async () => {
    const [one, two] = [await people.newTenant(), await people.newTenant()];
    const { account, token } = await people.newOwner(one);
    await people.makeOwner(two, account);
    await people.deactivateAccount(account.id);
    const status = async () => (await switchTo(token, two.key)).status;
    await expect.poll(status, { timeout: 1_000, interval: 20 }).toBe(401);
  });

  it("can't be had by giving a linked user a password of one's own", async () => {
    const tenant = await people.newTenant();
    const owner = await people.newOwner(tenant);
    await expect(people.setPasswordOf(tenant, owner.user.id)).rejects.toThrow(
      "users_one_password_check",
    );
  });
});
