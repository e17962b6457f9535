/** What whoever registers may ask of the installation: how many tenants, how far apart, which keys. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { dialects } from "../src/dialects/index.ts";
import { standardFeatures } from "../src/features/index.ts";
import { openTestPeople, type TestPeople } from "../src/testing/test-people.ts";

let people: TestPeople;
let production: App;

beforeAll(async () => {
  people = await openTestPeople({
    features: [...standardFeatures, ...dialects],
    config: { tenantsPerAccount: 3, planIsolations: { free: "schema", gold: "database" } },
  });
  production = await people.openNode({
    env: "production",
    baseDomain: "example.com",
    defaultTenant: "front_door",
    planIsolations: { free: "pool" },
  });
});

afterAll(async () => {
  await production?.close();
  await people?.close();
});

let keys = 0;
const newKey = () => {
  keys += 1;
  return `made_${keys}`;
};

/** In one of the ways in which an account gets a tenant. */
const ways: Readonly<Record<string, (key: string) => readonly [path: string, body: object]>> = {
  "POST /api/v1/tenants": (key) => ["/api/v1/tenants", { key, name: key }],
  "POST /organizations": (key) => ["/organizations", { name: key }],
  "POST /tenants": (key) => ["/tenants", { id: key, name: key }],
  "POST /admin/tenants": (key) => [
    "/admin/tenants",
    { tenant_id: key, hosts: [`${key.replace("_", "-")}.shop.example`] },
  ],
};

const make = async (app: App, token: string, path: string, payload: object) => {
  const headers = { authorization: `Bearer ${token}` };
  const reply = await app.inject({ method: "POST", url: path, headers, payload });
  return { status: reply.statusCode, body: reply.json(), text: reply.body };
};
const makeByKey = (app: App, token: string, more: object = {}) =>
  make(app, token, "/api/v1/tenants", { key: newKey(), name: "Made", ...more });

describe("how many tenants an account owns", () => {
  test("is bounded, also when ten are asked for at once", async () => {
    const { token } = await people.newAccount();
    const replies = await Promise.all(
      Array.from({ length: 10 }, () => makeByKey(people.app, token)),
    );
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(3);
    const refused = replies.filter(({ status }) => status !== 201);
    expect(refused.map(({ body }) => body.code)).toEqual(Array(7).fill("too_many_tenants"));
    expect(refused[0]?.body).toMatchObject({ status: 409, limit: 3 });
    expect(refused[0]?.body.detail).toContain("TENANTS_PER_ACCOUNT");
  });

  test("is bounded for tenants that are given to it as well", async () => {
    const [giver, heir] = [await people.newAccount(), await people.newAccount()];
    for (let i = 0; i < 3; i += 1) await makeByKey(people.app, heir.token);
    const { body } = await makeByKey(people.app, giver.token);
    const tenant = await people.app.tenants.get(body.id);
    const invited = await people.onTenant(tenant, (db) =>
      db.query("insert into users (email, account_id, role) values ($1, $2, 'user') returning id", [
        heir.account.email,
        heir.account.id,
      ]),
    );
    const user_id = String(Reflect.get(Object(invited[0]), "id"));
    await people.onPlatform(({ control }) =>
      control
        .insertInto("control.memberships")
        .values({
          account_id: heir.account.id,
          tenant_id: tenant.id,
          user_id: user_id as never,
        })
        .execute(),
    );
    const url = `/api/v1/tenants/${tenant.id}/transfer`;
    const given = await people.post(url, { token: giver.token, body: { user_id } });
    expect(given.body).toMatchObject({ code: "too_many_tenants" });
  });

  test("is not bounded for platform administrators, nor for the application itself", async () => {
    const { account, token } = await people.admin();
    for (let i = 0; i < 4; i += 1) {
      expect((await makeByKey(people.app, token)).status).toBe(201);
    }
    const own = { key: newKey(), name: "Own", ownerAccountId: account.id };
    await expect(people.app.tenants.create(own)).resolves.toMatchObject({ key: own.key });
  });
});

describe("how far apart an account has a tenant's rows", () => {
  test("is what the plan allows; an administrator chooses freely", async () => {
    const { token } = await people.newAccount();
    const wanted = { isolation: "database" };
    const refused = await makeByKey(people.app, token, wanted);
    expect(refused.body).toMatchObject({
      status: 403,
      code: "isolation_not_permitted",
      plan: "premium",
      isolation: "schema",
    });
    expect(refused.body.detail).toContain("PLAN_ISOLATIONS");
    expect((await makeByKey(people.app, token, { isolation: "schema" })).status).toBe(201);
    expect((await makeByKey(people.app, token, { ...wanted, plan: "gold" })).status).toBe(201);
    const admin = await people.admin();
    expect((await makeByKey(people.app, admin.token, wanted)).status).toBe(201);
  });

  test.each(Object.keys(ways))("is the pool in production by %s", async (way) => {
    const { token } = await people.newAccount();
    const [path, body] = ways[way]?.(newKey()) ?? ["", {}];
    const more = way === "POST /api/v1/tenants" ? { isolation: "schema" } : {};
    const reply = await make(production, token, path, { ...body, ...more });
    expect([reply.status, reply.text], reply.text).toEqual([
      403,
      expect.not.stringContaining("internal"),
    ]);
  });
});

describe("the key of DEFAULT_TENANT in production", () => {
  test.each(["front_door", "FRONT_DOOR", "front-door", "ｆｒｏｎｔ_door"])(
    "is not for accounts to take as %s",
    async (key) => {
      const { token } = await people.newAccount();
      const reply = await makeByKey(production, token, { key });
      expect(reply.body).toMatchObject({ status: 400, code: "reserved_tenant_key" });
    },
  );

  test("is for platform administrators", async () => {
    const { token } = await people.admin();
    const reply = await makeByKey(production, token, { key: "front_door" });
    expect(reply.status, reply.text).toBe(201);
  });
});

test("without DEFAULT_TENANT, whoever names no tenant is told to, though there is a demo_tenant", async () => {
  const node = await people.openNode({
    env: "production",
    baseDomain: "example.com",
    defaultTenant: undefined,
  });
  try {
    const { token } = await people.newAccount();
    await makeByKey(node, token, { key: "demo_tenant", settings: { registration: "open" } });
    const body = { email: people.newEmail(), password: people.password, first_name: "Jane" };
    const reply = await make(node, "none", "/auth/register", body);
    expect(reply.status, reply.text).toBe(404);
    expect(reply.text).toContain("DEFAULT_TENANT");
  } finally {
    await node.close();
  }
});
