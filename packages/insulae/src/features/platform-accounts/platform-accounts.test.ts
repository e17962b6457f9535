import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countRowsRead } from "../../testing/rows-read.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";
import { listAccounts } from "./platform-accounts.queries.ts";

let people: TestPeople;
/** A platform administrator, signed in. */
let admin: Awaited<ReturnType<TestPeople["admin"]>>;

beforeAll(async () => {
  people = await openTestPeople();
  admin = await administrator();
});
afterAll(() => people?.close());

const accounts = "/api/v1/platform/accounts";
const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;

const signIn = async (email: string): Promise<string> => {
  const body = { email, password: people.password };
  return (await people.post("/api/v1/auth/login", { body })).body.token;
};

async function administrator() {
  const { account } = await people.admin();
  return { account, token: await signIn(account.email) };
}

const list = async (query: string) => {
  const { status, body } = await people.get(`${accounts}?${query}`, { token: admin.token });
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
};
const idsOf = (body: { items: { id: string }[] }) => body.items.map(({ id }) => id);
const show = (id: string) => people.get(`${accounts}/${id}`, { token: admin.token });
const setActive = (id: string, is_active: boolean, token = admin.token) =>
  people.patch(`${accounts}/${id}`, { token, body: { is_active } });
const grant = (id: string, token = admin.token) =>
  people.put(`${accounts}/${id}/platform-admin`, { token });
const revoke = (id: string, token = admin.token) =>
  people.delete(`${accounts}/${id}/platform-admin`, { token });
const actionsOn = (id: string) =>
  people.onPlatform(async ({ control }) => {
    const rows = await control
      .selectFrom("control.audit_log")
      .select("action")
      .where("target_id", "=", id)
      .where("target_type", "=", "account")
      .orderBy("id")
      .execute();
    return rows.map(({ action }) => action).filter((action) => action.startsWith("account."));
  });

describe("accounts, for platform administrators", () => {
  it("are found by what their e-mail or names begin with, and by their id", async () => {
    const { account } = await people.newAccount();
    const { account: other } = await people.newAccount();
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.accounts")
        .set({ first_name: "Ädä", last_name: "Byron 100%" })
        .where("id", "=", account.id)
        .execute(),
    );
    for (const q of [account.email.slice(0, 20).toUpperCase(), "ädä", "byron 100%", account.id]) {
      expect(idsOf(await list(`q=${encodeURIComponent(q)}`)), q).toEqual([account.id]);
    }
    expect(idsOf(await list("q=%25"))).toEqual([]);
    const all = idsOf(await list("limit=200"));
    expect(all.slice(0, 2)).toEqual([other.id, account.id]);
    const first = await list("limit=1");
    expect(idsOf(first)).toEqual([other.id]);
    expect(idsOf(await list(`limit=1&cursor=${first.next_cursor}`))).toEqual([account.id]);
    expect(JSON.stringify(first)).not.toMatch(/password|hash|sessions_valid/);
  });

  it("are filtered by whether they are active, and administrators", async () => {
    const { account } = await people.newAccount();
    await setActive(account.id, false);
    expect(idsOf(await list("is_active=false"))).toEqual([account.id]);
    expect(idsOf(await list("is_active=true&limit=200"))).not.toContain(account.id);
    expect(idsOf(await list("platform_admin=true"))).toContain(admin.account.id);
    expect(idsOf(await list("platform_admin=false&limit=200"))).not.toContain(admin.account.id);
  });

  it("are shown with memberships, factors and open sessions", async () => {
    const tenant = await people.newTenant();
    const { account, user } = await people.newOwner(tenant);
    await signIn(account.email);
    const { status, body } = await show(account.id);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject({ id: account.id, email: account.email, factors: [] });
    expect(body.memberships).toMatchObject([
      { id: tenant.id, key: tenant.key, status: "active", user_id: user.id, owner: false },
    ]);
    expect(body.sessions).toHaveLength(1); // from registration; the others are in the tenant
    expect(JSON.stringify(body)).not.toMatch(/password|hash|secret|sessions_valid/);
    expect(outcome(await show(tenant.id))).toBe("account_not_found");
  });

  it("are nobody else's business", async () => {
    const { account, token } = await people.newAccount();
    const { token: owner } = await people.newOwner(await people.newTenant());
    for (const by of [token, owner]) {
      const replies = [
        await people.get(accounts, { token: by }),
        await people.get(`${accounts}/${account.id}`, { token: by }),
        await setActive(account.id, false, by),
        await people.delete(`${accounts}/${account.id}/sessions`, { token: by }),
        await grant(account.id, by),
        await revoke(admin.account.id, by),
      ];
      expect(replies.map(outcome)).toEqual(replies.map(() => "permission_denied"));
    }
  });

  it("are searched, and the few picked out, without reading all of them", async () => {
    const client = new pg.Client(people.app.config.databaseUrl);
    await client.connect();
    try {
      await client.query(
        `insert into control.accounts (email, password_hash, first_name, last_name)
         select 'many-' || n || '@example.net', 'x', 'First ' || n, 'Last ' || n
         from generate_series(1, 5000) n`,
      );
      await client.query("vacuum analyze control.accounts");
      const { db, rowsReadBy } = countRowsRead(client);
      const page = { after: undefined, limit: 26 };
      for (const wanted of [
        ...[{}, { q: "many-4711" }, { q: "last 4711" }, { q: "nobody" }],
        ...[{ is_active: false }, { platform_admin: true }],
      ]) {
        const read = await rowsReadBy(() => listAccounts(db, wanted, page));
        expect(read, JSON.stringify(wanted)).toBeLessThan(100);
      }
      expect(await rowsReadBy(() => listAccounts(db, { q: "many" }, page))).toBeLessThan(3_000);
    } finally {
      await client.end();
    }
  });
});

describe("an account that an administrator", () => {
  it("deactivates is signed out everywhere and can't sign in until it is activated", async () => {
    const tenant = await people.newTenant();
    const { account, token } = await people.newOwner(tenant);
    expect((await people.get("/api/v1/users", { token })).status).toBe(200);
    expect((await setActive(account.id, false)).body).toMatchObject({
      is_active: false,
      sessions: [],
    });
    expect((await people.get("/api/v1/users", { token })).status).toBe(401);
    expect(await signIn(account.email)).toBeUndefined();
    expect((await setActive(account.id, true)).body.is_active).toBe(true);
    expect((await people.get("/api/v1/users", { token })).status).toBe(401);
    expect(await signIn(account.email)).toEqual(expect.any(String));
    expect(await actionsOn(account.id)).toEqual(["account.deactivated", "account.activated"]);
  });

  it("signs out is so at the platform and in its tenants", async () => {
    const { account, token } = await people.newOwner(await people.newTenant());
    const core = await signIn(account.email);
    const path = `${accounts}/${account.id}/sessions`;
    expect(outcome(await people.delete(path, { token: admin.token }))).toBe("done");
    for (const old of [token, core]) {
      expect((await people.get("/api/v1/auth/me", { token: old })).status).toBe(401);
    }
    expect((await show(account.id)).body.sessions).toEqual([]);
    expect(await actionsOn(account.id)).toEqual(["account.sessions_ended"]);
  });

  it("makes an administrator is one at once, and none at once when that is taken back", async () => {
    const { account, token } = await people.newAccount();
    expect(outcome(await grant(account.id))).toBe("done");
    expect((await people.get(accounts, { token })).status).toBe(200);
    expect(outcome(await revoke(account.id))).toBe("done");
    expect(outcome(await people.get(accounts, { token }))).toBe("permission_denied");
    expect(await actionsOn(account.id)).toEqual([
      "account.administration_granted",
      "account.administration_revoked",
    ]);
  });

  it("makes an administrator is active", async () => {
    const { account } = await people.newAccount();
    await setActive(account.id, false);
    expect(outcome(await grant(account.id))).toBe("account_inactive");
    expect((await show(account.id)).body.platform_admin).toBe(false);
  });
});

describe("who is an administrator", () => {
  it("is changed only with a fresh proof", async () => {
    const { account, token } = await administrator();
    const { account: other } = await people.newAccount();
    await people.onPlatform(({ control }) =>
      control
        .updateTable("control.sessions")
        .set({ proved_at: new Date(0) })
        .where("subject_id", "=", account.id)
        .execute(),
    );
    expect(outcome(await grant(other.id, token))).toBe("reauthentication_required");
    expect(outcome(await revoke(admin.account.id, token))).toBe("reauthentication_required");
  });

  it("is never nobody, also when two take each other's place at the same time", async () => {
    const people = await openTestPeople();
    try {
      const [one, two] = [await people.admin(), await people.admin()];
      const revoke = (of: typeof one, by: typeof one) =>
        people.delete(`${accounts}/${of.account.id}/platform-admin`, { token: by.token });
      const replies = await Promise.all([
        revoke(one, two),
        revoke(two, one),
        revoke(one, two),
        revoke(two, one),
      ]);
      expect(replies.map(outcome).filter((each) => each === "done").length).toBeGreaterThan(0);
      const left = await people.onPlatform(({ control }) =>
        control
          .selectFrom("control.accounts")
          .select(["id", "email"])
          .where("platform_admin", "=", true)
          .execute(),
      );
      expect(left).toHaveLength(1);
      const last = [one, two].find(({ account }) => account.id === left[0]?.id);
      const { token } = last ?? one;
      const path = `${accounts}/${left[0]?.id}`;
      expect(outcome(await people.delete(`${path}/platform-admin`, { token }))).toBe(
        "last_administrator",
      );
      const off = { token, body: { is_active: false } };
      expect(outcome(await people.patch(path, off))).toBe("last_administrator");
    } finally {
      await people.close();
    }
  });
});
