import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isolations, type Tenant } from "../../kernel/model/tenant.ts";
import { createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp, type TestApp } from "../../testing/test-app.ts";

let app: TestApp;
let token: string;
/** Two tenants of each isolation, the first with two contacts and the second with one. */
const pairs = new Map<string, readonly [TestMember, TestMember]>();

beforeAll(async () => {
  app = await createTestApp();
  const payload = { email: "root@example.com", password: "a-Fine-passphrase-7" };
  await app.ensureAdmin(payload);
  const reply = await app.inject({ method: "POST", url: "/api/v1/auth/login", payload });
  token = reply.json().access_token;
  for (const isolation of isolations) {
    const [a, b] = [await createMember(app, isolation), await createMember(app, isolation)];
    for (const member of [a, a, b]) {
      expect((await member.call("POST", "/contacts", { name: "Grace Hopper" })).status).toBe(201);
    }
    pairs.set(isolation, [a, b]);
  }
});
afterAll(() => app?.close());

const pair = (isolation: string) => {
  const found = pairs.get(isolation);
  if (!found) throw new Error("no such pair");
  return found;
};

async function call(method: "GET" | "POST", path: string, payload?: object, by = token) {
  const url = `/api/v1/platform/isolation${path}`;
  const headers = { authorization: `Bearer ${by}` };
  const reply = await app.inject({ method, url, headers, ...(payload && { payload }) });
  return { status: reply.statusCode, body: reply.json() };
}
const probe = (a: Tenant, b: Tenant) => call("POST", "/probes", { a: a.key, b: b.id });

/** As the owner of the database, past everything. */
async function asAdministrator(database: string, ...statements: readonly string[]) {
  const url = new URL(app.config.databaseUrl ?? "");
  url.pathname = `/${database}`;
  const client = new pg.Client(url.href);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

const contactsOf = async ({ tenant }: TestMember) =>
  app.withTenant(tenant, ({ db }) => db.query("select id, name, updated_at from contacts"));

describe("probes with two tenants", () => {
  test.each(isolations)("are all refused or kept apart, in %s", async (isolation) => {
    const [a, b] = pair(isolation);
    const before = [await contactsOf(a), await contactsOf(b)];
    const { status, body } = await probe(a.tenant, b.tenant);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body.passed, JSON.stringify(body, null, 1)).toBe(true);
    const found = Object.fromEntries(
      body.probes.map(({ name, scope, rows, sqlstate }: Record<string, unknown>) => [
        name,
        [scope, rows, sqlstate],
      ]),
    );
    const noScope = isolation === "schema" ? ["none", null, "42501"] : ["none", 0, null];
    expect(found).toEqual({
      count_in_a: ["a", 2, null],
      count_in_b: ["b", 1, null],
      count_without_scope: noScope,
      ...(isolation !== "pool" && { count_without_scope_at_b: noScope }),
      read_other_in_b: ["b", 0, null],
      read_other_in_a: ["a", 0, null],
      write_other_in_b: ["b", null, "42501"],
    });
    expect(body.probes.at(-1).message).toMatch(/new row violates row-level security policy/);
    expect(body.probes[0]).toMatchObject({
      sql: expect.stringContaining(`."contacts"`),
      placement: { isolation, server: "main", schema: a.tenant.placement.schema },
    });
    expect(body.policies).toHaveLength(isolation === "pool" ? 1 : 2);
    const policy = "(tenant_id = app.current_tenant_id())";
    expect(body.policies[0]).toMatchObject({
      ...{ enabled: true, forced: true, bypasses: false, owner: "insulae_owner", passed: true },
      policies: [{ permissive: true, command: "ALL", using: policy, with_check: policy }],
    });
    expect([await contactsOf(a), await contactsOf(b)]).toEqual(before);
  });

  test("of different isolations say where each of them ran", async () => {
    const [a, b] = [pair("pool")[0], pair("database")[0]];
    const { body } = await probe(a.tenant, b.tenant);
    expect(body.passed).toBe(true);
    const places = body.probes.map(({ placement }: { placement: { isolation: string } }) => [
      placement.isolation,
    ]);
    expect(places.flat().sort()).toEqual([
      ...["database", "database", "database", "database"],
      ...["pool", "pool", "pool"],
    ]);
  });

  test("fail where Row-Level Security is off, and the row that got through is gone again", async () => {
    const [a, b] = pair("pool");
    const { database } = a.tenant.placement;
    await asAdministrator(database, "alter table data.contacts disable row level security");
    try {
      const { body } = await probe(a.tenant, b.tenant);
      expect(body.passed).toBe(false);
      const passed = Object.fromEntries(
        body.probes.map((one: { name: string; passed: boolean }) => [one.name, one.passed]),
      );
      expect(Object.values(passed)).toEqual(Object.values(passed).map(() => false));
      expect(body.policies[0]).toMatchObject({ enabled: false, passed: false });
      expect(body.probes.at(-1)).toMatchObject({ rows: 1, sqlstate: null });
      const report = await call("GET", "/report");
      const pool = report.body.items.find((one: { isolation: string }) => one.isolation === "pool");
      expect(pool).toMatchObject({
        isolated: false,
        problems: [{ object: "data.contacts", problem: expect.stringContaining("switched off") }],
      });
    } finally {
      await asAdministrator(database, "alter table data.contacts enable row level security");
    }
    expect(await contactsOf(a)).toHaveLength(2);
  });

  test("fail where a second policy lets more through, or the policy isn't forced", async () => {
    const [a, b] = pair("database");
    const { database } = b.tenant.placement;
    await asAdministrator(
      database,
      "create policy everything on data.contacts for select using (true)",
    );
    expect((await probe(a.tenant, b.tenant)).body).toMatchObject({
      passed: false,
      policies: [{ passed: true }, { passed: false }],
    });
    await asAdministrator(
      database,
      "drop policy everything on data.contacts",
      "alter table data.contacts no force row level security",
    );
    expect((await probe(a.tenant, b.tenant)).body).toMatchObject({
      passed: false,
      policies: [{ passed: true }, { forced: false, passed: false }],
    });
    await asAdministrator(database, "alter table data.contacts force row level security");
  });

  test("are in the platform's audit log", async () => {
    const [a, b] = pair("schema");
    await probe(a.tenant, b.tenant);
    const entry = await app.withPlatform("look", ({ control }) =>
      control
        .selectFrom("control.audit_log")
        .select(["action", "target_id", "detail"])
        .where("action", "=", "isolation.probed")
        .orderBy("id", "desc")
        .executeTakeFirstOrThrow(),
    );
    expect(entry).toMatchObject({
      target_id: a.tenant.id,
      detail: { a: a.tenant.id, b: b.tenant.id, passed: true },
    });
  });

  test("take two tenants that are there", async () => {
    const [{ tenant }] = pair("pool");
    expect((await probe(tenant, tenant)).body.code).toBe("same_tenant");
    const none = await call("POST", "/probes", { a: tenant.key, b: "no_such_tenant" });
    expect(none.body.code).toBe("tenant_not_found");
  });
});

describe("the report", () => {
  test("says for each placement what isolates its tenants", async () => {
    const { status, body } = await call("GET", "/report?limit=200");
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body.items.map((one: { isolation: string }) => one.isolation).sort()).toEqual([
      ...["database", "database", "pool", "schema", "schema"],
    ]);
    for (const item of body.items) {
      expect(item).toMatchObject({ isolated: true, problems: [], error: null, server: "main" });
      expect(item.tables).toContainEqual({
        ...{ name: "contacts", enabled: true, forced: true, owner: "insulae_owner" },
        policies: ["(tenant_id = app.current_tenant_id())"],
      });
      const uses = item.roles.filter(({ owns_tables }: { owns_tables: boolean }) => !owns_tables);
      expect(uses.length).toBeGreaterThan(0);
      for (const role of uses) {
        expect(role).toMatchObject({ superuser: false, bypasses_row_security: false });
      }
    }
  });

  test("comes in pages", async () => {
    const ids: string[] = [];
    for (let cursor = ""; ; ) {
      const { body } = await call("GET", `/report?limit=2${cursor}`);
      ids.push(...body.items.map(({ id }: { id: string }) => id));
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    expect(new Set(ids).size).toBe(5);
    expect(ids).toHaveLength(5);
  });
});

test("both are for platform administrators alone", async () => {
  const [{ tenant, token: user }, { tenant: other }] = pair("pool");
  const payload = { email: "somebody@example.com", password: "a-Fine-passphrase-7" };
  const made = await app.inject({ method: "POST", url: "/api/v1/auth/register", payload });
  for (const by of [user, made.json().access_token]) {
    const body = { a: tenant.id, b: other.id };
    expect((await call("POST", "/probes", body, by)).body.code).toBe("permission_denied");
    expect((await call("GET", "/report", undefined, by)).body.code).toBe("permission_denied");
  }
});
