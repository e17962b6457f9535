import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { bearer, listenWith, viewersAt } from "./log-viewers-fixture.ts";

let people: TestPeople;
let port: number;
const { watch } = viewersAt(() => port);
let a: Tenant;
let owner: Awaited<ReturnType<TestPeople["newOwner"]>>;

beforeAll(async () => {
  people = await openTestPeople();
  port = await listenWith(people.app);
  a = await people.newTenant();
  owner = await people.newOwner(a);
}, 60_000);
afterAll(() => people?.close());

describe("an open stream is closed", () => {
  const newAdmin = () => people.addUser(a, owner, { role: "admin", password: people.password });
  const watchAs = ({ token }: { readonly token: string }) => watch({ headers: bearer(token) });

  it("when its session ends, on whichever node", async () => {
    const node = await people.openNode();
    onTestFinished(() => node.close());
    const admin = await newAdmin();
    const ticket = (await people.post("/api/v1/logs/tickets", { token: admin.token })).body.ticket;
    const viewers = [await watchAs(admin), await watch({ query: `?ticket=${ticket}` })];
    await node.inject({ method: "POST", url: "/api/v1/auth/logout", headers: bearer(admin.token) });
    for (const { ended } of viewers) expect(await ended).toBe("1008 invalid_token");
  });

  it("when its user is demoted, disabled or deleted", async () => {
    const [demoted, disabled, deleted] = [await newAdmin(), await newAdmin(), await newAdmin()];
    const viewers = [await watchAs(demoted), await watchAs(disabled), await watchAs(deleted)];
    const url = ({ user }: typeof demoted) => `/api/v1/users/${user.id}`;
    await people.patch(url(demoted), { token: owner.token, body: { role: "viewer" } });
    await people.patch(url(disabled), { token: owner.token, body: { is_active: false } });
    await people.delete(url(deleted), { token: owner.token });
    expect(await Promise.all(viewers.map(({ ended }) => ended))).toEqual([
      "1008 permission_denied",
      "1008 invalid_token",
      "1008 invalid_token",
    ]);
  });

  it("when its token expires", async () => {
    const node = await people.openNode({ accessTokenSeconds: 2 });
    onTestFinished(() => node.close());
    const there = await listenWith(node);
    const reply = await node.inject({
      method: "POST",
      url: "/api/v1/auth/login",
      headers: { "x-tenant": a.key },
      payload: { email: owner.account.email, password: people.password },
    });
    const viewer = await watch({ headers: bearer(reply.json().token), port: there });
    expect(await viewer.ended).toBe("1008 invalid_token");
  });

  it("when its tenant is suspended or deleted", async () => {
    const tenants = [await people.newTenant(), await people.newTenant()];
    const viewers: Awaited<ReturnType<typeof watch>>[] = [];
    for (const tenant of tenants) viewers.push(await watchAs(await people.newOwner(tenant)));
    const [suspended, deleted] = tenants;
    if (suspended) await people.suspend(suspended);
    if (deleted) await people.app.tenants.delete(deleted.id);
    expect(await Promise.all(viewers.map(({ ended }) => ended))).toEqual([
      expect.stringMatching(/^1008 /),
      expect.stringMatching(/^1008 /),
    ]);
  });

  it("when a platform administrator is one no more", async () => {
    const admin = await people.admin();
    const viewer = await watchAs(admin);
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.accounts")
        .set({ platform_admin: false })
        .where("id", "=", admin.account.id)
        .execute(),
    );
    expect(await viewer.ended).toBe("1008 permission_denied");
  });

  it("when the server stops", async () => {
    const node = await people.openNode();
    const viewer = await watch({ headers: bearer(owner.token), port: await listenWith(node) });
    await node.close();
    expect(await viewer.ended).toBe("1001 going_away");
  });
});
