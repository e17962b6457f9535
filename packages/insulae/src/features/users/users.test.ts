import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemRoles } from "../../kernel/feature/feature.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

type Owner = Awaited<ReturnType<TestPeople["newOwner"]>>;

const pathOf = ({ id }: { id: string }) => `/api/v1/users/${id}`;

/** A tenant with its owner. */
async function newTenant(): Promise<{ tenant: Tenant; owner: Owner }> {
  const tenant = await people.newTenant();
  return { tenant, owner: await people.newOwner(tenant) };
}

/** Somebody with the role, signed in. */
const member = (tenant: Tenant, owner: Owner, role: string) =>
  people.addUser(tenant, owner, { role, password: people.password });

describe("users", () => {
  it("are added, shown, changed and deleted", async () => {
    const { owner } = await newTenant();
    const { token } = owner;
    const added = await people.post("/api/v1/users", {
      token,
      body: { email: " Ada@EXAMPLE.org", first_name: "Ada", last_name: "Lovelace" },
    });
    expect(added.status).toBe(201);
    expect(added.body).toEqual({
      id: expect.any(String),
      email: "ada@example.org",
      username: null,
      first_name: "Ada",
      last_name: "Lovelace",
      role: "user",
      is_active: true,
      email_verified: false,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    const path = pathOf(added.body);
    expect(await people.get(path, { token })).toMatchObject({ status: 200, body: added.body });

    const body = { username: "Countess", role: "manager", last_name: "King" };
    const changed = await people.patch(path, { token, body });
    expect(changed).toMatchObject({
      status: 200,
      body: { username: "countess", role: "manager", first_name: "Ada", last_name: "King" },
    });
    expect(
      (await people.patch(path, { token, body: { username: null } })).body.username,
    ).toBeNull();

    expect(await people.delete(path, { token })).toMatchObject({ status: 204, text: "" });
    for (const answer of [people.get(path, { token }), people.delete(path, { token })]) {
      expect(await answer).toMatchObject({ status: 404, body: { code: "user_not_found" } });
    }
  });

  it("are listed newest first, in pages, filtered, and counted on request", async () => {
    const { tenant, owner } = await newTenant();
    const { token } = owner;
    const names = ["anna_1", "anna_2", "bert", "cleo"];
    for (const [i, username] of names.entries()) {
      const role = i === 0 ? "manager" : "viewer";
      await people.addUser(tenant, owner, {
        username,
        role,
        first_name: "100%",
        last_name: "Sure",
      });
    }
    const list = async (query: string) => {
      const { body } = await people.get(`/api/v1/users?${query}`, { token });
      return body as { items: { username: string }[]; next_cursor: string | null; total?: number };
    };
    const first = await list("limit=3");
    expect(first.items.map(({ username }) => username)).toEqual(["cleo", "bert", "anna_2"]);
    expect(first).not.toHaveProperty("total");
    const second = await list(`limit=3&cursor=${first.next_cursor}`);
    expect(second.items.map(({ username }) => username)).toEqual(["anna_1", null]);
    expect(second.next_cursor).toBeNull();

    expect(await list("q=ANNA_&limit=1&total=true")).toMatchObject({ total: 2 });
    expect((await list("q=100%25%20s&total=true")).total).toBe(4);
    expect((await list("q=a%25a")).items).toEqual([]);
    expect((await list("role=manager")).items).toMatchObject([{ username: "anna_1" }]);
    const email = encodeURIComponent(owner.user.email.toUpperCase());
    expect((await list(`email=${email}`)).items).toMatchObject([{ role: "owner" }]);
    expect((await list("is_active=false&total=true")).total).toBe(0);
  });

  it("have an e-mail and a username that are unique in the tenant, however they are written", async () => {
    const { tenant, owner } = await newTenant();
    const { tenant: other, owner: elsewhere } = await newTenant();
    const taken = { email: "zoë@example.org", username: "zoe" };
    await people.addUser(tenant, owner, taken);
    await people.addUser(other, elsewhere, taken);
    const add = (body: object) => people.post("/api/v1/users", { token: owner.token, body });
    for (const email of ["ZOË@example.org", "zoe\u0308@example.org", "ｚoë＠example.org"]) {
      expect(await add({ email })).toMatchObject({ status: 409, body: { code: "email_taken" } });
    }
    for (const username of ["ZOE", "ｚｏｅ"]) {
      const answer = await add({ email: people.newEmail(), username });
      expect(answer).toMatchObject({ status: 409, body: { code: "username_taken" } });
      expect(answer.text).not.toContain("users_username_key");
    }
    expect(await add({ email: people.newEmail(), username: "a@b" })).toMatchObject({
      status: 400,
      body: { code: "invalid_username" },
    });
  });

  it("never show a password, in any form", async () => {
    const { tenant, owner } = await newTenant();
    const { user } = await member(tenant, owner, "user");
    const answers = await Promise.all([
      people.get(pathOf(user), { token: owner.token }),
      people.get("/api/v1/users", { token: owner.token }),
      people.patch(pathOf(user), { token: owner.token, body: { first_name: "X" } }),
    ]);
    for (const { text } of answers) expect(text).not.toMatch(/argon2|password|account_id/);
  });

  it("have to prove a new e-mail again", async () => {
    const { tenant, owner } = await newTenant();
    const { user } = await member(tenant, owner, "user");
    await people.app.withTenant(tenant, ({ db }) =>
      db.query("update users set email_verified = true where id = $1", [user.id]),
    );
    const change = async (body: object) =>
      (await people.patch(pathOf(user), { token: owner.token, body })).body.email_verified;
    expect(await change({ email: user.email.toUpperCase() })).toBe(true);
    expect(await change({ email: people.newEmail() })).toBe(false);
  });

  it.each(["tenant_id", "permissions", "password_hash", "account_id", "email_verified", "id"])(
    "can't be given %s",
    async (field) => {
      const { tenant, owner } = await newTenant();
      const { user } = await member(tenant, owner, "user");
      const body = { [field]: randomUUID() };
      const { token } = owner;
      const answers = await Promise.all([
        people.post("/api/v1/users", { token, body: { email: people.newEmail(), ...body } }),
        people.patch(pathOf(user), { token, body }),
      ]);
      for (const { status, body } of answers) {
        expect(status).toBe(400);
        expect(body.errors[0].pointer).toBe(`/body/${field}`);
      }
    },
  );
});

describe("a change counts from the next request on:", () => {
  it("of a role", async () => {
    const { tenant, owner } = await newTenant();
    const { user, token } = await member(tenant, owner, "admin");
    const add = () => people.post("/api/v1/users", { token, body: { email: people.newEmail() } });
    expect((await add()).status).toBe(201);
    const path = `/api/v1/users/${user.id.toUpperCase()}`;
    await people.patch(path, { token: owner.token, body: { role: "user" } });
    expect((await add()).status).toBe(403);
    const me = await people.get("/api/v1/auth/me", { token });
    expect(me.body).toMatchObject({ role: "user", user: { role: "user" } });
    await people.patch(path, { token: owner.token, body: { role: "viewer" } });
    expect((await people.get("/api/v1/users", { token })).status).toBe(403);
  });

  it("of a status", async () => {
    const { tenant, owner } = await newTenant();
    const { user, token } = await member(tenant, owner, "user");
    const status = async () => (await people.get("/api/v1/auth/me", { token })).status;
    expect(await status()).toBe(200);
    await people.patch(pathOf(user), { token: owner.token, body: { is_active: false } });
    expect(await status()).toBe(401);
    await people.patch(pathOf(user), { token: owner.token, body: { is_active: true } });
    // Their sessions are over for good.
    expect(await status()).toBe(401);
    const again = await people.logIn(tenant, user.email);
    expect(await people.get("/api/v1/auth/me", again)).toMatchObject({ status: 200 });
  });

  it("on every node, within a second", async () => {
    const { tenant, owner } = await newTenant();
    const { user, token } = await member(tenant, owner, "user");
    const node = await people.openNode();
    try {
      const status = async () => {
        const headers = { authorization: `Bearer ${token}` };
        return (await node.inject({ url: "/api/v1/auth/me", headers })).statusCode;
      };
      expect(await status()).toBe(200);
      await people.patch(pathOf(user), { token: owner.token, body: { is_active: false } });
      await expect.poll(status, { timeout: 1_000, interval: 20 }).toBe(401);
    } finally {
      await node.close();
    }
  });

  it("and a deletion", async () => {
    const { tenant, owner } = await newTenant();
    const { user, token } = await member(tenant, owner, "user");
    expect((await people.get("/api/v1/users", { token })).status).toBe(200);
    const path = `/api/v1/users/${user.id.toUpperCase()}`;
    expect((await people.delete(path, { token: owner.token })).status).toBe(204);
    expect((await people.get("/api/v1/users", { token })).status).toBe(401);
  });
});

describe("roles", () => {
  const mayRead = ["owner", "admin", "manager", "user"];
  const mayWrite = ["owner", "admin"];

  it("decide who may use which route", async () => {
    const { tenant, owner } = await newTenant();
    const { user: target } = await people.addUser(tenant, owner, { role: "viewer" });
    const routes = [
      { may: mayRead, call: (token: string) => people.get("/api/v1/users", { token }) },
      { may: mayRead, call: (token: string) => people.get(pathOf(target), { token }) },
      {
        may: mayWrite,
        call: (token: string) =>
          people.post("/api/v1/users", { token, body: { email: people.newEmail() } }),
      },
      {
        may: mayWrite,
        call: (token: string) => people.patch(pathOf(target), { token, body: { first_name: "X" } }),
      },
      {
        // Nobody's: who is not refused gets as far as not finding it.
        may: mayWrite,
        call: (token: string) => people.delete(pathOf({ id: randomUUID() }), { token }),
      },
    ];
    for (const role of systemRoles) {
      const { token } = await member(tenant, owner, role);
      const permitted = await Promise.all(
        routes.map(async ({ call }) => (await call(token)).status !== 403),
      );
      expect({ role, permitted }).toEqual({
        role,
        permitted: routes.map(({ may }) => may.includes(role)),
      });
    }
    for (const { call } of routes) expect((await call("")).status).toBe(401);
  });

  it("can be given up to one's own, and those above can't be touched", async () => {
    const { tenant, owner } = await newTenant();
    for (const [rank, role] of systemRoles.entries()) {
      if (!mayWrite.includes(role)) continue;
      const { token } = await member(tenant, owner, role);
      for (const [otherRank, other] of systemRoles.entries()) {
        const expected = otherRank >= rank ? "allowed" : "role_above_own";
        const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
          status < 300 ? "allowed" : body?.code;
        const { user: raised } = await people.addUser(tenant, owner, { role: "viewer" });
        const { user: above } = await people.addUser(tenant, owner, { role: other });
        const attempts = await Promise.all([
          people.post("/api/v1/users", { token, body: { email: people.newEmail(), role: other } }),
          people.patch(pathOf(raised), { token, body: { role: other } }),
          people.patch(pathOf(above), { token, body: { role: "viewer" } }),
        ]);
        const { user: gone } = await people.addUser(tenant, owner, { role: other });
        attempts.push(await people.delete(pathOf(gone), { token }));
        expect({ role, other, outcomes: attempts.map(outcome) }).toEqual({
          role,
          other,
          outcomes: Array(4).fill(expected),
        });
      }
    }
  });
});

describe("the last active owner", () => {
  it("can't be demoted, deactivated or deleted, not even by themselves", async () => {
    const { tenant, owner } = await newTenant();
    const { token } = owner;
    // An owner who is not active does not count.
    const { user: retired } = await people.addUser(tenant, owner, { role: "owner" });
    await people.patch(pathOf(retired), { token, body: { is_active: false } });
    const attempts = [
      people.patch(pathOf(owner.user), { token, body: { role: "admin" } }),
      people.patch(pathOf(owner.user), { token, body: { is_active: false } }),
      people.delete(pathOf(owner.user), { token }),
    ];
    for (const attempt of attempts) {
      expect(await attempt).toMatchObject({ status: 409, body: { code: "last_owner" } });
    }
    const harmless = { first_name: "Still", role: "owner", is_active: true };
    expect((await people.patch(pathOf(owner.user), { token, body: harmless })).status).toBe(200);
    expect((await people.delete(pathOf(retired), { token })).status).toBe(204);
  });

  it("remains when all owners remove each other at once", async () => {
    const ways = [
      (path: string, token: string) => people.delete(path, { token }),
      (path: string, token: string) => people.patch(path, { token, body: { role: "user" } }),
      (path: string, token: string) => people.patch(path, { token, body: { is_active: false } }),
    ];
    for (let round = 0; round < 12; round += 1) {
      const { tenant, owner } = await newTenant();
      const others = await Promise.all(
        Array.from({ length: 1 + (round % 3) }, () => member(tenant, owner, "owner")),
      );
      const owners = [owner, ...others];
      await Promise.all(
        owners.map(({ token }, i) => {
          const victim = owners[(i + 1) % owners.length] ?? owner;
          return ways[(round + i) % ways.length]?.(pathOf(victim.user), token);
        }),
      );
      const left = await people.app.withTenant(tenant, ({ db }) =>
        db.query("select from users where role = 'owner' and is_active"),
      );
      expect(left).toHaveLength(1);
    }
  });
});

describe("tenant B", () => {
  it("can't see, change, delete, find or count users of tenant A", async () => {
    const { tenant: a, owner: ownerOfA } = await newTenant();
    const { owner: ownerOfB } = await newTenant();
    const { user } = await people.addUser(a, ownerOfA, { username: "hidden" });
    const { token } = ownerOfB;
    const nobody = pathOf({ id: randomUUID() });
    const calls = (path: string) => [
      people.get(path, { token }),
      people.patch(path, { token, body: { first_name: "Mine" } }),
      people.delete(path, { token }),
    ];
    const [foreign, unknown] = await Promise.all([
      Promise.all(calls(pathOf(user))),
      Promise.all(calls(nobody)),
    ]);
    for (const [i, answer] of foreign.entries()) {
      expect(answer.status).toBe(404);
      const same = (body: object) => ({ ...body, request_id: undefined });
      expect(same(answer.body)).toEqual(same(unknown[i]?.body));
    }
    const list = await people.get("/api/v1/users?total=true", { token });
    expect(list.body).toMatchObject({ total: 1, items: [{ id: ownerOfB.user.id }] });
    for (const query of ["q=hidden", `email=${encodeURIComponent(user.email)}`]) {
      const found = await people.get(`/api/v1/users?${query}`, { token });
      expect(found.body).toMatchObject({ items: [] });
    }
    const still = await people.get(pathOf(user), { token: ownerOfA.token });
    expect(still).toMatchObject({ status: 200, body: { first_name: "" } });
  });
});
