/** Long because the rules of giving and taking roles are shown case by case, with the same people. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemRoles } from "../../kernel/feature/feature.ts";
import { uuidV5 } from "../../kernel/lib/uuid.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

interface Caller {
  readonly token: string;
}
type Owner = Awaited<ReturnType<TestPeople["newOwner"]>>;

async function newTenant(): Promise<{ tenant: Tenant; owner: Owner }> {
  const tenant = await people.newTenant();
  return { tenant, owner: await people.newOwner(tenant) };
}

/** Somebody with the system role, signed in. */
const member = (tenant: Tenant, owner: Owner, role: string) =>
  people.addUser(tenant, owner, { role, password: people.password });

const newRole = async ({ token }: Caller, permissions: string[], name = `r${randomUUID()}`) => {
  const { status, body } = await people.post("/api/v1/roles", {
    token,
    body: { name, permissions },
  });
  expect(status, JSON.stringify(body)).toBe(201);
  return body as { id: string; name: string; permissions: string[] };
};

const pathOf = ({ id }: { id: string }) => `/api/v1/roles/${id}`;
const rolesOf = ({ id }: { id: string }) => `/api/v1/users/${id}/roles`;
const give = ({ token }: Caller, user: { id: string }, role: string) =>
  people.post(rolesOf(user), { token, body: { role } });

/** What an answer says, in a word. */
const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;

describe("custom roles", () => {
  it("are made, shown, changed and deleted", async () => {
    const { owner } = await newTenant();
    const { token } = owner;
    const added = await people.post("/api/v1/roles", {
      token,
      body: {
        name: "  Clerk ",
        description: "At the desk",
        permissions: ["users:read", "CreateUser"],
      },
    });
    expect(added.status).toBe(201);
    expect(added.body).toEqual({
      id: expect.any(String),
      name: "Clerk",
      description: "At the desk",
      is_system_role: false,
      permissions: ["users:read", "users:write"],
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    const path = pathOf(added.body);
    expect((await people.get(path, { token })).body).toEqual(added.body);

    const changed = await people.put(path, { token, body: { name: "Chief", permissions: [] } });
    expect(changed).toMatchObject({
      status: 200,
      body: { name: "Chief", description: "At the desk", permissions: [] },
    });

    const add = (permission: string) =>
      people.post(`${path}/permissions`, { token, body: { permission } });
    expect((await add("users:read")).body.permissions).toEqual(["users:read"]);
    expect((await add("users:read")).body.permissions).toEqual(["users:read"]);
    const both = ["roles:write", "users:read"];
    expect((await add(uuidV5("roles:write"))).body.permissions).toEqual(both);
    const remove = (permission: string) =>
      people.delete(`${path}/permissions/${permission}`, { token });
    expect((await remove("ManageRoles")).status).toBe(204);
    expect(outcome(await remove("roles:write"))).toBe("permission_not_in_role");
    expect((await remove(uuidV5("users:read"))).status).toBe(204);
    expect((await people.get(path, { token })).body.permissions).toEqual([]);
    expect(outcome(await add("users:fly"))).toBe("unknown_permission");

    expect((await people.delete(path, { token })).status).toBe(204);
    for (const answer of [people.get(path, { token }), people.delete(path, { token })]) {
      expect(outcome(await answer)).toBe("role_not_found");
    }
  });

  it("have a name that is unique in the tenant, however it is written", async () => {
    const [{ owner }, { owner: elsewhere }] = await Promise.all([newTenant(), newTenant()]);
    const clerk = await newRole(owner, [], "Clerk");
    await newRole(elsewhere, [], "Clerk");
    const other = await newRole(owner, []);
    for (const name of ["clerk", "ＣＬＥＲＫ", "owner", " Viewer ", uuidV5("admin")]) {
      const answers = await Promise.all([
        people.post("/api/v1/roles", { token: owner.token, body: { name } }),
        people.put(pathOf(other), { token: owner.token, body: { name } }),
      ]);
      expect(answers.map(outcome)).toEqual(["role_exists", "role_exists"]);
    }
    for (const name of [clerk.id, clerk.id.toUpperCase(), randomUUID()]) {
      const body = { name };
      const made = await people.post("/api/v1/roles", { token: owner.token, body });
      const renamed = await people.put(pathOf(other), { token: owner.token, body });
      expect([made, renamed].map(outcome)).toEqual(["invalid_role_name", "invalid_role_name"]);
    }
    const same = await people.put(pathOf(clerk), { token: owner.token, body: { name: "CLERK" } });
    expect(same.body.name).toBe("CLERK");
  });

  it("are listed after the system roles, in pages of any size", async () => {
    const { owner } = await newTenant();
    const names = ["Alpha", "beta", "Gamma"];
    for (const name of names.toReversed()) await newRole(owner, [], name);
    const all = [...systemRoles, ...names];
    for (let limit = 1; limit <= all.length + 1; limit += 1) {
      const seen: string[] = [];
      let cursor: string | null = "";
      for (let pages = 0; cursor !== null && pages <= all.length; pages += 1) {
        const query = `limit=${limit}${cursor && `&cursor=${cursor}`}`;
        const { body } = await people.get(`/api/v1/roles?${query}`, { token: owner.token });
        expect(body.items.length).toBeLessThanOrEqual(limit);
        seen.push(...body.items.map(({ name }: { name: string }) => name));
        cursor = body.next_cursor;
      }
      expect(seen).toEqual(all);
    }
  });

  it("ignore permissions that no feature declares any more", async () => {
    const { tenant, owner } = await newTenant();
    const role = await newRole(owner, ["users:write"]);
    await people.app.withTenant(tenant, ({ db }) =>
      db.query("update roles set permissions = $1 where id = $2", [
        ["users:write", "invoices:read"],
        role.id,
      ]),
    );
    const shown = await people.get(pathOf(role), { token: owner.token });
    expect(shown.body.permissions).toEqual(["users:write"]);
    const { user, token } = await member(tenant, owner, "viewer");
    expect((await give(owner, user, role.id)).status).toBe(200);
    const me = await people.get("/api/v1/auth/me", { token });
    expect(me.body.permissions).toContain("users:write");
    expect(me.body.permissions).not.toContain("invoices:read");
    expect((await people.delete(pathOf(role), { token: owner.token })).status).toBe(204);
  });
});

describe("system roles", () => {
  it("are in every tenant, and can't be changed, renamed or deleted", async () => {
    const { token } = (await newTenant()).owner;
    for (const name of systemRoles) {
      const path = pathOf({ id: uuidV5(name) });
      expect((await people.get(path, { token })).body).toMatchObject({
        name,
        is_system_role: true,
        created_at: null,
      });
      const attempts = await Promise.all([
        people.put(path, { token, body: { name: "Mine" } }),
        people.delete(path.toUpperCase().replace("/API/V1/ROLES", "/api/v1/roles"), { token }),
        people.post(`${path}/permissions`, { token, body: { permission: "users:read" } }),
        people.delete(`${path}/permissions/users:read`, { token }),
      ]);
      expect(attempts.map(outcome)).toEqual(Array(4).fill("system_role_fixed"));
    }
  });

  it("are shown with what they may; permissions with the other names that they go by", async () => {
    const { owner } = await newTenant();
    const { body } = await people.get("/api/v1/permissions", { token: owner.token });
    expect(body.items).toContainEqual({
      id: uuidV5("users:write"),
      name: "users:write",
      description: "Add, change and delete users",
      resource: "users",
      action: "write",
      aliases: ["CreateUser", "UpdateUser", "DeleteUser"],
      role: "admin",
    });
    const viewer = await people.get(pathOf({ id: uuidV5("viewer") }), { token: owner.token });
    const held = body.items.filter(({ role }: { role: string }) => role === "viewer");
    expect(viewer.body.permissions).toEqual(held.map(({ name }: { name: string }) => name).sort());
  });
});

describe("a user's roles", () => {
  it("are one system role and any of the tenant's own, given by name or id", async () => {
    const { tenant, owner } = await newTenant();
    const { user } = await member(tenant, owner, "viewer");
    const clerk = await newRole(owner, ["users:write"], "Clerk");
    const names = async (answer: ReturnType<typeof people.get>) =>
      (await answer).body.items.map(({ name }: { name: string }) => name);
    expect(await names(give(owner, user, "cLERK"))).toEqual(["viewer", "Clerk"]);
    expect(await names(give(owner, user, clerk.id))).toEqual(["viewer", "Clerk"]);
    expect(await names(give(owner, user, "manager"))).toEqual(["manager", "Clerk"]);
    expect(await names(give(owner, user, uuidV5("admin")))).toEqual(["admin", "Clerk"]);
    const shown = await people.get(`/api/v1/users/${user.id}`, { token: owner.token });
    expect(shown.body.role).toBe("admin");

    const take = async (id: string) =>
      outcome(await people.delete(`${rolesOf(user)}/${id}`, { token: owner.token }));
    expect(await take(clerk.id)).toBe("done");
    expect(await take(clerk.id)).toBe("role_not_assigned");
    expect(await take(uuidV5("manager"))).toBe("role_not_assigned");
    expect(await take(uuidV5("admin"))).toBe("done");
    expect(await take(uuidV5("viewer"))).toBe("role_required");
    expect(await names(people.get(rolesOf(user), { token: owner.token }))).toEqual(["viewer"]);

    const nobody = { id: randomUUID() };
    const attempts = [
      people.get(rolesOf(nobody), { token: owner.token }),
      give(owner, nobody, "viewer"),
      give(owner, nobody, clerk.id),
      people.delete(`${rolesOf(nobody)}/${clerk.id}`, { token: owner.token }),
      people.delete(`${rolesOf(nobody)}/${uuidV5("viewer")}`, { token: owner.token }),
    ];
    for (const attempt of attempts) expect(outcome(await attempt)).toBe("user_not_found");
    expect(outcome(await give(owner, user, "Nothing"))).toBe("role_not_found");
  });

  it("count from the next request on, given, changed, taken away or deleted", async () => {
    const { tenant, owner } = await newTenant();
    const { user, token } = await member(tenant, owner, "viewer");
    const may = async () => (await people.get("/api/v1/users", { token })).status === 200;
    const role = await newRole(owner, ["users:read"]);
    const path = `${pathOf(role)}/permissions`;
    expect(await may()).toBe(false);
    await give(owner, { id: user.id.toUpperCase() }, role.id);
    expect(await may()).toBe(true);
    await people.delete(`${path}/users:read`, { token: owner.token });
    expect(await may()).toBe(false);
    await people.post(path, { token: owner.token, body: { permission: "ReadUser" } });
    expect(await may()).toBe(true);
    await people.put(pathOf(role), { token: owner.token, body: { permissions: [] } });
    expect(await may()).toBe(false);
    await people.put(pathOf(role), { token: owner.token, body: { permissions: ["users:read"] } });
    expect(await may()).toBe(true);
    await people.delete(`${rolesOf(user)}/${role.id}`, { token: owner.token });
    expect(await may()).toBe(false);
    await give(owner, user, role.id);
    expect(await may()).toBe(true);
    await people.delete(pathOf(role), { token: owner.token });
    expect(await may()).toBe(false);
  });

  it("count on every node, within a second", async () => {
    const { tenant, owner } = await newTenant();
    const { user, token } = await member(tenant, owner, "viewer");
    const role = await newRole(owner, ["users:read"]);
    await give(owner, user, role.id);
    const node = await people.openNode();
    try {
      const status = async () => {
        const headers = { authorization: `Bearer ${token}` };
        return (await node.inject({ url: "/api/v1/users", headers })).statusCode;
      };
      expect(await status()).toBe(200);
      await people.delete(`${pathOf(role)}/permissions/users:read`, { token: owner.token });
      await expect.poll(status, { timeout: 1_000, interval: 20 }).toBe(403);
    } finally {
      await node.close();
    }
  });

  it("can't leave a tenant without an active owner", async () => {
    const { owner } = await newTenant();
    const attempts = [
      give(owner, owner.user, "admin"),
      people.delete(`${rolesOf(owner.user)}/${uuidV5("owner")}`, { token: owner.token }),
    ];
    for (const attempt of attempts) expect(outcome(await attempt)).toBe("last_owner");
  });

  it("leave one owner when two take the role from each other at once", async () => {
    for (let round = 0; round < 6; round += 1) {
      const { tenant, owner } = await newTenant();
      const other = await member(tenant, owner, "owner");
      const answers = await Promise.all([
        give(owner, other.user, "viewer"),
        people.delete(`${rolesOf(owner.user)}/${uuidV5("owner")}`, { token: other.token }),
      ]);
      expect(answers.map(({ status }) => status < 300).sort()).toEqual([false, true]);
      const left = await people.app.withTenant(tenant, ({ db }) =>
        db.query("select from users where role = 'owner' and is_active"),
      );
      expect(left).toHaveLength(1);
    }
  });
});

describe("nobody gives, changes or takes away what they don't hold:", () => {
  /** An owner, and a viewer who may run roles and users, and nothing else. */
  async function setUp() {
    const { tenant, owner } = await newTenant();
    const clerk = await member(tenant, owner, "viewer");
    const role = await newRole(owner, ["roles:read", "roles:write", "users:read", "users:write"]);
    expect((await give(owner, clerk.user, role.id)).status).toBe(200);
    return { tenant, owner, clerk, ownRole: role };
  }

  it("a permission in a role", async () => {
    const { owner, clerk, ownRole } = await setUp();
    const { token } = clerk;
    const harmless = await newRole(clerk, ["users:read"]);
    const above = await newRole(owner, ["tenants:manage"]);
    const attempts = [
      people.post("/api/v1/roles", { token, body: { name: "X", permissions: ["tenants:manage"] } }),
      people.put(pathOf(harmless), { token, body: { permissions: ["tenants:manage"] } }),
      people.put(pathOf(ownRole), { token, body: { permissions: ["ManageTenant"] } }),
      people.post(`${pathOf(harmless)}/permissions`, {
        token,
        body: { permission: "tenants:manage" },
      }),
      people.put(pathOf(above), { token, body: { name: "Below" } }),
      people.put(pathOf(above), { token, body: { permissions: [] } }),
      people.delete(`${pathOf(above)}/permissions/tenants:manage`, { token }),
      people.delete(pathOf(above), { token }),
      give(clerk, clerk.user, above.id),
    ];
    for (const attempt of attempts) expect(outcome(await attempt)).toBe("permission_not_held");
  });

  it("a user's role, password or e-mail", async () => {
    const { tenant, owner, clerk } = await setUp();
    const { token } = clerk;
    const { user: treasurer } = await member(tenant, owner, "viewer");
    const above = await newRole(owner, ["tenants:manage"]);
    await give(owner, treasurer, above.id);
    const harmless = await newRole(clerk, ["users:read"]);
    const path = `/api/v1/users/${treasurer.id}`;
    const attempts = [
      people.patch(path, { token, body: { email: people.newEmail() } }),
      people.patch(path, { token, body: { is_active: false } }),
      people.delete(path, { token }),
      give(clerk, treasurer, harmless.id),
      people.delete(`${rolesOf(treasurer)}/${above.id}`, { token }),
    ];
    for (const attempt of attempts) expect(outcome(await attempt)).toBe("permission_not_held");
    const { user: peer } = await member(tenant, owner, "viewer");
    expect(outcome(await give(clerk, peer, harmless.id))).toBe("done");
    const ups = [give(clerk, peer, "user"), give(clerk, clerk.user, "owner")];
    for (const attempt of ups) expect(outcome(await attempt)).toBe("role_above_own");
  });

  it("not even by adding a user without naming a role", async () => {
    const { clerk } = await setUp();
    const add = async (more: object) =>
      outcome(
        await people.post("/api/v1/users", {
          token: clerk.token,
          body: { email: people.newEmail(), ...more },
        }),
      );
    expect(await add({})).toBe("role_above_own");
    expect(await add({ role: "viewer" })).toBe("done");
  });
});

describe("tenant B", () => {
  it("can't see, change, delete, give or list roles of tenant A", async () => {
    const { owner: a } = await newTenant();
    const { tenant, owner: b } = await newTenant();
    const role = await newRole(a, ["users:read"], "Hidden");
    const { user: own } = await member(tenant, b, "viewer");
    const { token } = b;
    const calls = (id: string, user: { id: string }) => [
      people.get(pathOf({ id }), { token }),
      people.put(pathOf({ id }), { token, body: { name: "Mine" } }),
      people.delete(pathOf({ id }), { token }),
      people.post(`${pathOf({ id })}/permissions`, { token, body: { permission: "users:read" } }),
      people.delete(`${pathOf({ id })}/permissions/users:read`, { token }),
      give(b, own, id),
      people.delete(`${rolesOf(own)}/${id}`, { token }),
      people.get(rolesOf(user), { token }),
      give(b, user, "viewer"),
    ];
    const [foreign, unknown] = await Promise.all([
      Promise.all(calls(role.id, a.user)),
      Promise.all(calls(randomUUID(), { id: randomUUID() })),
    ]);
    const same = (body: object) => ({ ...body, request_id: undefined });
    for (const [i, answer] of foreign.entries()) {
      expect(answer.status).toBe(404);
      expect(same(answer.body)).toEqual(same(unknown[i]?.body));
    }
    expect(outcome(await give(b, own, "Hidden"))).toBe("role_not_found");
    const { body } = await people.get("/api/v1/roles", { token });
    expect(body.items).toHaveLength(systemRoles.length);
    expect((await people.get(pathOf(role), { token: a.token })).body).toMatchObject(role);
  });
});
