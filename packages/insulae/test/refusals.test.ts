/** What is refused is cheap, and says why. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { loadConfig } from "../src/config/config.ts";
import type { Tenant } from "../src/kernel/model/tenant.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import { openTestPeople } from "../src/testing/test-people.ts";

const password = "a-Fine-passphrase-7"; // the fixtures' own
const development = loadConfig({}).rateLimits;
const production = {
  ...development,
  plans: { ...development.plans, free: 20 },
};

describe("a flood of requests for another tenant", () => {
  let app: App;
  let attacker: TestMember;
  let victim: TestMember;

  beforeAll(async () => {
    app = await createTestApp({ config: { rateLimits: production } });
    [attacker, victim] = [await createMember(app), await createMember(app)];
    await app.tenants.update(attacker.tenant.id, { plan: "free" });
  });
  afterAll(() => app?.close());

  const refusalsIn = async (tenant: Tenant): Promise<number> =>
    app.withTenant(tenant, async ({ db }) => {
      const { rows } = await sql<{ count: number }>`
        select count(*)::int as count from audit_log
        where action = 'auth.cross_tenant_refused'`.execute(db);
      return rows[0]?.count ?? 0;
    });

  test("leaves one entry in each log, and nobody else notices", async () => {
    const ask = () =>
      app.inject({
        url: "/api/v1/contacts",
        headers: { authorization: `Bearer ${attacker.token}`, "x-tenant": victim.tenant.key },
      });
    const statuses = (await Promise.all(Array.from({ length: 300 }, ask))).map(
      ({ statusCode }) => statusCode,
    );
    // As many as the attacker's own plan grants.
    expect(statuses.filter((status) => status === 403).length).toBeLessThanOrEqual(25);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(275);
    await expect.poll(() => refusalsIn(victim.tenant)).toBe(1);
    expect(await refusalsIn(attacker.tenant)).toBe(1);
    // Neither the victim nor others at the attacker's address are refused for it.
    expect((await victim.call("GET", "/contacts")).status).toBe(200);
    expect((await victim.call("POST", "/contacts", { name: "Ada" })).status).toBe(201);
    expect((await app.inject({ url: "/api/v1/nothing" })).statusCode).toBe(404);
  });
});

test("in development a person can register, mistype, reset and log in a dozen times in a minute", async () => {
  const app = await createTestApp({ config: { env: "development", rateLimits: development } });
  try {
    const post = async (path: string, payload: object, status: number) => {
      const reply = await app.inject({ method: "POST", url: `/api/v1/auth/${path}`, payload });
      expect([path, reply.statusCode]).toEqual([path, status]);
    };
    for (let i = 0; i < 12; i += 1) {
      const email = `person-${i}@example.com`;
      await post("register", { email, password }, 201);
      await post("login", { email, password: "a-Typo-of-a-passphrase" }, 401);
      await post("login", { email, password }, 200);
      await post("password-reset-request", { email }, 202);
    }
  } finally {
    await app.close();
  }
});

test("only development is generous", () => {
  expect(development.credentials).toBe(100);
  expect(loadConfig({ APP_ENV: "test" }).rateLimits.credentials).toBe(5);
  expect(loadConfig({ RATE_LIMIT_CREDENTIALS: "7" }).rateLimits.credentials).toBe(7);
});

describe("a 403", () => {
  let app: App;
  let member: TestMember;
  beforeAll(async () => {
    app = await createTestApp();
    member = await createMember(app);
  });
  afterAll(() => app?.close());

  test("names the permission that is missing", async () => {
    const { status, body } = await member.call("POST", "/roles", { name: "x", permissions: [] });
    expect([status, body]).toMatchObject([
      403,
      {
        code: "permission_denied",
        permission: expect.stringMatching(/^[a-z-]+:[a-z-]+$/),
        detail: expect.stringContaining(body.permission),
      },
    ]);
  });

  test("says in development which roles have it, and not in production", async () => {
    const people = await openTestPeople();
    const node = await people.openNode({ env: "production", baseDomain: "example.com" });
    try {
      const { token } = await people.register(await people.newTenant());
      const request = {
        method: "GET",
        url: "/api/v1/audit",
        headers: { authorization: `Bearer ${token}` },
      } as const;
      const [here, there] = [await people.app.inject(request), await node.inject(request)];
      expect(here.json()).toMatchObject({ code: "permission_denied", roles: ["owner", "admin"] });
      expect(here.json().detail).toContain("owner, admin");
      expect(there.json()).toMatchObject({ code: "permission_denied", permission: "audit:read" });
      expect(there.json()).not.toHaveProperty("roles");
      expect(there.json().detail).not.toContain("owner");
    } finally {
      await node.close();
      await people.app.close();
    }
  });

  test("of the platform's says who may", async () => {
    const { body: account } = await member.call("GET", "/platform/audit");
    // A tenant's user is in the wrong context; an account that is no administrator lacks the role.
    expect(account).toMatchObject({ code: "permission_denied", permission: "platform" });
    expect(account.detail).toContain("platform administrator");
  });

  test("says the same of a tenant that exists, is suspended, or doesn't exist", async () => {
    const [other, late] = [await createMember(app), await createMember(app)];
    await app.tenants.suspend(late.tenant.id);
    const refusals = await Promise.all(
      [other.tenant.key, late.tenant.key, "nowhere"].map(async (tenant) => {
        const reply = await app.inject({
          url: "/api/v1/contacts",
          headers: { authorization: `Bearer ${member.token}`, "x-tenant": tenant },
        });
        const { request_id: _id, ...body } = reply.json();
        return [reply.statusCode, body];
      }),
    );
    expect(refusals[0]).toMatchObject([403, { code: "tenant_access_denied" }]);
    expect(refusals).toEqual([refusals[0], refusals[0], refusals[0]]);
  });
});
