import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseApiKey, printApiKey } from "../../kernel/identity/api-key.ts";
import { timeText } from "../../kernel/lib/times.ts";
import { isolations, type Tenant } from "../../kernel/model/tenant.ts";
import { openTestPeople, type TestPeople } from "../../testing/test-people.ts";

let people: TestPeople;
beforeAll(async () => {
  people = await openTestPeople();
});
afterAll(() => people?.close());

interface Caller {
  readonly token: string;
}
interface Made {
  readonly id: string;
  readonly key: string;
  readonly prefix: string;
}
type Owner = Awaited<ReturnType<TestPeople["newOwner"]>>;

async function newTenant(): Promise<{ tenant: Tenant; owner: Owner }> {
  const tenant = await people.newTenant();
  return { tenant, owner: await people.newOwner(tenant) };
}

/** An admin, who may make keys and be taken away. */
const newAdmin = (tenant: Tenant, owner: Owner) =>
  people.addUser(tenant, owner, { role: "admin", password: people.password });

const make = ({ token }: Caller, body: object) =>
  people.post("/api/v1/api-keys", { token, body: { name: "A machine", ...body } });

async function newKey(by: Caller, scopes: string[], more: object = {}): Promise<Made> {
  const { status, body } = await make(by, { scopes, ...more });
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
}

const usersWith = (key: string) => people.get("/api/v1/users", { token: key });
const statusWith = async (key: string) => (await usersWith(key)).status;
const outcome = ({ status, body }: { status: number; body?: { code?: string } }) =>
  status < 300 ? "done" : body?.code;

describe("API keys", () => {
  it("are made, used, listed without their secret, and revoked", async () => {
    const { tenant, owner } = await newTenant();
    const expires_at = timeText(new Date(Date.now() + 3_600_000));
    const made = await make(owner, { name: " CI ", scopes: ["ReadUser"], expires_at });
    expect(made.status).toBe(201);
    const { key, ...shown } = made.body;
    expect(shown).toEqual({
      id: expect.any(String),
      name: "CI",
      prefix: key.slice(0, 19),
      scopes: ["users:read"],
      user_id: owner.user.id,
      expires_at,
      last_used_at: null,
      created_at: expect.any(String),
    });
    expect(key).toMatch(/^ik_[\w-]{107}$/);
    expect(await statusWith(key)).toBe(200);
    const asHeader = await people.app.inject({
      url: "/api/v1/users",
      headers: { "x-api-key": key, "x-tenant": tenant.key },
    });
    expect(asHeader.statusCode).toBe(200);

    const list = await people.get("/api/v1/api-keys", { token: owner.token });
    expect(list.body).toEqual({ items: [shown], next_cursor: null });

    const revoke = () => people.delete(`/api/v1/api-keys/${shown.id}`, { token: owner.token });
    expect(outcome(await revoke())).toBe("done");
    expect(outcome(await usersWith(key))).toBe("invalid_token");
    expect(outcome(await revoke())).toBe("api_key_not_found");
  });

  it("keep the hash of their secret, and nothing else of it", async () => {
    const { tenant, owner } = await newTenant();
    const { key } = await newKey(owner, ["users:read"]);
    const rows = await people.app.withTenant(tenant, ({ db }) =>
      db.query("select api_keys::text as text from api_keys"),
    );
    const secret = parseApiKey(key)?.secret ?? Buffer.of();
    expect(secret).toHaveLength(32);
    for (const form of ["hex", "base64", "base64url"] as const) {
      expect(JSON.stringify(rows)).not.toContain(secret.toString(form));
    }
  });

  it("say when they were used last, to about a minute, without a write in the request", async () => {
    const { owner } = await newTenant();
    const { key } = await newKey(owner, ["users:read"]);
    const lastUsed = async () =>
      (await people.get("/api/v1/api-keys", { token: owner.token })).body.items[0].last_used_at;
    const before = Date.now();
    const node = await people.openNode();
    const headers = { authorization: `Bearer ${key}` };
    expect((await node.inject({ url: "/api/v1/users", headers })).statusCode).toBe(200);
    expect(await lastUsed()).toBeNull();
    // What is noted is written every minute, and when the node stops.
    await node.close();
    expect(Date.parse(await lastUsed())).toBeGreaterThanOrEqual(before);
  });

  it("end when they expire", async () => {
    const { tenant, owner } = await newTenant();
    const { key, id } = await newKey(owner, ["users:read"], {
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    });
    expect(await statusWith(key)).toBe(200);
    await people.app.withTenant(tenant, async ({ db, forgetUser }) => {
      await db.query("update api_keys set expires_at = now() where id = $1", [id]);
      await forgetUser(owner.user.id);
    });
    expect(await statusWith(key)).toBe(401);
    const past = await make(owner, { scopes: ["users:read"], expires_at: "2020-01-01T00:00:00Z" });
    expect(outcome(past)).toBe("expiry_passed");
  });

  it("are at most fifty to a user", async () => {
    const { tenant, owner } = await newTenant();
    await newKey(owner, ["users:read"]);
    await people.app.withTenant(tenant, ({ db }) =>
      db.query(
        `insert into api_keys (user_id, name, scopes, secret_hash)
         select user_id, name, scopes, secret_hash from api_keys, generate_series(1, 49)`,
      ),
    );
    expect(outcome(await make(owner, { scopes: ["users:read"] }))).toBe("too_many_api_keys");
  });
});

it.each(isolations)(
  "works in a tenant with isolation %s, as a custom role does",
  async (isolation) => {
    const tenant = await people.newTenant({ isolation });
    const owner = await people.newOwner(tenant);
    const { user, token } = await people.addUser(tenant, owner, {
      role: "viewer",
      password: people.password,
    });
    const role = { name: "Keyholder", permissions: ["users:read", "api-keys:write"] };
    await people.post("/api/v1/roles", { token: owner.token, body: role });
    const given = await people.post(`/api/v1/users/${user.id}/roles`, {
      token: owner.token,
      body: { role: "keyholder" },
    });
    expect(given.status).toBe(200);
    const { key } = await newKey({ token }, ["users:read"]);
    expect(await statusWith(key)).toBe(200);
    await people.delete(`/api/v1/users/${user.id}/roles/${given.body.items[1].id}`, {
      token: owner.token,
    });
    expect(await statusWith(key)).toBe(403);
  },
);

describe("an API key may do", () => {
  it("what it was made for, and nothing else of what its maker may", async () => {
    const { owner } = await newTenant();
    const { key } = await newKey(owner, ["users:read"]);
    const attempts = [
      people.post("/api/v1/users", { token: key, body: { email: people.newEmail() } }),
      people.get("/api/v1/roles", { token: key }),
      people.get("/api/v1/api-keys", { token: key }),
    ];
    for (const attempt of attempts) expect(outcome(await attempt)).toBe("permission_denied");
  });

  it("nothing that its maker may not (attack 47)", async () => {
    const { tenant, owner } = await newTenant();
    const admin = await newAdmin(tenant, owner);
    for (const scopes of [["tenants:manage"], ["users:read", "ManageTenant"]]) {
      expect(outcome(await make(admin, { scopes }))).toBe("permission_not_held");
    }
    expect(outcome(await make(admin, { scopes: ["users:fly"] }))).toBe("unknown_permission");
    expect((await make(admin, { scopes: [] })).status).toBe(400);
  });

  it("nothing of its maker's own, or as an account: no route that asks for somebody signed in", async () => {
    const { owner } = await newTenant();
    const all = await people.get("/api/v1/permissions", { token: owner.token });
    const { key } = await newKey(
      owner,
      all.body.items.map(({ name }: { name: string }) => name),
    );
    const attempts = [
      people.get("/api/v1/auth/me", { token: key }),
      people.post("/api/v1/auth/switch", { token: key, body: { tenant: null } }),
      make({ token: key }, { scopes: ["users:read"] }),
    ];
    for (const attempt of attempts) expect(outcome(await attempt)).toBe("personal_only");
  });

  it("nothing for a user with permissions that it does not have: no way around its scopes", async () => {
    const { owner } = await newTenant();
    const { key } = await newKey(owner, ["users:write", "roles:write"]);
    const add = (role: string) =>
      people.post("/api/v1/users", { token: key, body: { email: people.newEmail(), role } });
    expect(outcome(await add("admin"))).toBe("permission_not_held");
    const role = { name: "Mine", permissions: ["users:read"] };
    expect(outcome(await people.post("/api/v1/roles", { token: key, body: role }))).toBe(
      "permission_not_held",
    );
    const promote = await people.patch(`/api/v1/users/${owner.user.id}`, {
      token: key,
      body: { email: people.newEmail() },
    });
    expect(outcome(promote)).toBe("permission_not_held");
  });

  it("what its maker may at that moment: with a demotion less, without its maker nothing", async () => {
    const { tenant, owner } = await newTenant();
    const change = async (id: string, body: object) =>
      (await people.patch(`/api/v1/users/${id}`, { token: owner.token, body })).status;
    const admin = await newAdmin(tenant, owner);
    const { key } = await newKey(admin, ["users:read", "users:write"]);
    const add = async () =>
      (
        await people.post("/api/v1/users", {
          token: key,
          body: { email: people.newEmail(), role: "viewer" },
        })
      ).body.code;
    expect(await add()).toBe("permission_not_held");
    await change(admin.user.id, { role: "user" });
    expect(await add()).toBe("permission_denied");
    expect(await statusWith(key)).toBe(200);
    await change(admin.user.id, { role: "viewer" });
    expect(await statusWith(key)).toBe(403);
    await change(admin.user.id, { role: "user", is_active: false });
    expect(await statusWith(key)).toBe(401);
    await change(admin.user.id, { is_active: true });
    expect(await statusWith(key)).toBe(200);
    await people.delete(`/api/v1/users/${admin.user.id}`, { token: owner.token });
    expect(await statusWith(key)).toBe(401);
  });
});

describe("an API key is refused", () => {
  it("on every node within a second of its revocation", async () => {
    const { owner } = await newTenant();
    const { key, id } = await newKey(owner, ["users:read"]);
    const node = await people.openNode();
    try {
      const headers = { authorization: `Bearer ${key}` };
      const status = async () => (await node.inject({ url: "/api/v1/users", headers })).statusCode;
      expect(await status()).toBe(200);
      await people.delete(`/api/v1/api-keys/${id}`, { token: owner.token });
      await expect.poll(status, { timeout: 1_000, interval: 20 }).toBe(401);
    } finally {
      await node.close();
    }
  });

  it("when anything of it is another's, or it is written in another way", async () => {
    const [a, b] = await Promise.all([newTenant(), newTenant()]);
    const [mine, theirs] = [
      await newKey(a.owner, ["users:read"]),
      await newKey(b.owner, ["users:read"]),
    ];
    const parts = parseApiKey(mine.key);
    const others = parseApiKey(theirs.key);
    if (!parts || !others) throw new Error("they are keys");
    const { user: colleague } = await people.addUser(a.tenant, a.owner, { role: "admin" });
    const forged = [
      printApiKey({ ...parts, secret: others.secret }),
      printApiKey({ ...parts, id: others.id }),
      printApiKey({ ...parts, id: randomUUID() }),
      printApiKey({ ...parts, userId: others.userId }),
      printApiKey({ ...parts, userId: colleague.id }),
      printApiKey({ ...parts, tenantId: others.tenantId }),
      mine.key.slice(0, -1),
      `${mine.key}A`,
      `${mine.key}=`,
      // The same 80 bytes, in base64 or with other spare bits.
      mine.key.slice(0, -1) + (mine.key.endsWith("A") ? "B" : nextLetter(mine.key.at(-1))),
      "ik_",
    ];
    for (const key of forged) {
      expect(key).not.toBe(mine.key);
      expect(outcome(await usersWith(key))).toBe("invalid_token");
    }
    expect(await statusWith(mine.key)).toBe(200);
  });

  it("in another tenant, and next to another credential", async () => {
    const [a, b] = await Promise.all([newTenant(), newTenant()]);
    const { key } = await newKey(a.owner, ["users:read"]);
    const elsewhere = await people.get("/api/v1/users", { token: key, tenant: b.tenant.key });
    expect(outcome(elsewhere)).toBe("tenant_access_denied");
    const status = async (headers: Record<string, string>) =>
      (await people.app.inject({ url: "/api/v1/users", headers })).statusCode;
    expect(await status({ "x-api-key": key, authorization: `Bearer ${b.owner.token}` })).toBe(401);
    expect(await status({ "x-api-key": a.owner.token })).toBe(401);
    await people.suspend(a.tenant);
    expect(outcome(await usersWith(key))).toBe("tenant_inactive");
  });
});

describe("what a key does", () => {
  it("is the key's in the audit log and in the log", async () => {
    const { tenant, owner } = await newTenant();
    const all = await people.get("/api/v1/permissions", { token: owner.token });
    const names = all.body.items.map(({ name }: { name: string }) => name);
    const { key, id } = await newKey(owner, names);
    const added = await people.post("/api/v1/users", {
      token: key,
      body: { email: people.newEmail() },
    });
    expect(added.status).toBe(201);
    const [made, created] = await people.app.withTenant(tenant, ({ db }) =>
      db.query("select * from audit_log where action in ('api_key.created', 'user.created')"),
    );
    expect(made).toMatchObject({ actor_kind: "user", target_type: "api_key", target_id: id });
    expect(created).toMatchObject({ actor_kind: "api_key", actor_id: id });
    const line = people.logLines().findLast(({ api_key_id }) => api_key_id === id);
    expect(line).toMatchObject({ user_id: owner.user.id });
    expect(JSON.stringify(people.logLines())).not.toContain(key);
  });
});

describe("tenant B", () => {
  it("can't list or revoke tenant A's keys", async () => {
    const [a, b] = await Promise.all([newTenant(), newTenant()]);
    const { key, id } = await newKey(a.owner, ["users:read"]);
    const revoke = (which: string) =>
      people.delete(`/api/v1/api-keys/${which}`, { token: b.owner.token });
    const same = (body: object) => ({ ...body, request_id: undefined });
    expect(same((await revoke(id)).body)).toEqual(same((await revoke(randomUUID())).body));
    const list = await people.get("/api/v1/api-keys", { token: b.owner.token });
    expect(list.body.items).toEqual([]);
    expect(await statusWith(key)).toBe(200);
  });
});

/** One that decodes to the same bytes: the last letter has two spare bits. */
function nextLetter(letter = ""): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return alphabet.charAt(alphabet.indexOf(letter) + 1);
}
