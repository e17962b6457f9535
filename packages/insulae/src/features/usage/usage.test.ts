import { sql } from "kysely";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { feature } from "../../kernel/feature/feature.ts";
import { job } from "../../kernel/feature/job.ts";
import { isolations } from "../../kernel/model/tenant.ts";
import { addMember, createMember, type TestMember } from "../../testing/fixtures.ts";
import { createTestApp } from "../../testing/index.ts";
import { standardFeatures } from "../index.ts";
import { measureAll } from "./measurements.ts";

let app: App;
let admin: string;

const login = { email: "admin@example.com", password: "a-Fine-passphrase-7" };

const counted = job("tests.counted", { run: async () => {} });
const uncounted = job("tests.uncounted", { uncounted: true, run: async () => {} });

beforeAll(async () => {
  app = await createTestApp({
    features: [...standardFeatures, feature("tests", { jobs: [counted, uncounted] })],
    config: {
      quotas: { free: { users: 5, rows: 100, requests_per_day: 30 }, premium: {}, gold: {} },
    },
  });
  await app.ensureAdmin(login);
  const reply = await app.inject({ method: "POST", url: "/api/v1/auth/login", payload: login });
  admin = reply.json().access_token;
});
afterAll(() => app?.close());

async function asAdmin(path: string) {
  const headers = { authorization: `Bearer ${admin}` };
  const reply = await app.inject({ url: `/api/v1${path}`, headers });
  return { status: reply.statusCode, body: reply.json() };
}

const usageOf = ({ tenant }: TestMember, query = "") =>
  asAdmin(`/tenants/${tenant.key}/usage${query}`);

const series = (body: { series: { metric: string }[] }, metric: string) =>
  body.series.find((one) => one.metric === metric);

const today = () => new Date().toISOString().slice(0, 10);

async function addContacts({ call }: TestMember, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await call("POST", "/contacts", { name: "Ada" });
}

describe.each(isolations)("the usage of a tenant with isolation %s", (isolation) => {
  test("has what was done and what there is, day by day", async () => {
    const member = await createMember(app, isolation);
    await addContacts(member, 3);
    const { status, body } = await usageOf(member);
    expect(status).toBe(200);
    expect(body).toMatchObject({ tenant_id: member.tenant.id, plan: "premium", to: today() });
    expect(series(body, "requests")).toMatchObject({ kind: "count", total: 3 });
    expect(series(body, "rows")).toMatchObject({
      kind: "level",
      total: 3,
      points: [{ day: today(), amount: 3 }],
    });
    expect(series(body, "users")).toMatchObject({ total: 1 });
    const requests = body.series.find((one: { metric: string }) => one.metric === "requests");
    expect(requests.points).toHaveLength(30);
    expect(requests.points.at(-1)).toEqual({ day: today(), amount: 3 });
    expect(requests.points.at(0).amount).toBe(0);
  });
});

describe("usage", () => {
  test("has the quotas beside it, with what is used of them", async () => {
    const member = await createMember(app);
    await app.tenants.update(member.tenant.id, { plan: "free" });
    await addContacts(member, 2);
    const { body } = await usageOf(member);
    expect(body.quotas).toEqual([
      { name: "users", limit: 5, used: 1 },
      { name: "rows", limit: 100, used: 2 },
      { name: "storage_bytes", limit: null, used: 0 },
      { name: "requests_per_day", limit: 30, used: 2 },
      { name: "notifications_per_day", limit: null, used: 0 },
      { name: "jobs_per_day", limit: null, used: 0 },
    ]);
  });

  test("is of the days and the metric that are asked for", async () => {
    const member = await createMember(app);
    await addContacts(member, 1);
    const { body } = await usageOf(member, "?metric=requests&from=2026-01-01&to=2026-01-31");
    expect(body.series).toEqual([
      expect.objectContaining({ metric: "requests", total: 0, points: expect.any(Array) }),
    ]);
    expect(body.series[0].points).toHaveLength(31);
  });

  test.each([
    "from=2026-02-01&to=2026-01-01",
    "from=2020-01-01&to=2026-01-01",
    "from=2026-02-30",
    "from=yesterday",
    "metric=REQUESTS",
    "days=5",
  ])("refuses the query %s", async (query) => {
    const member = await createMember(app);
    expect((await usageOf(member, `?${query}`)).status).toBe(400);
  });

  test("is for the tenant's owner and administrators, and platform administrators", async () => {
    const { tenant } = await createMember(app);
    const path = `/tenants/${tenant.key}/usage`;
    for (const [role, status] of [
      ["owner", 200],
      ["admin", 200],
      ["manager", 403],
      ["user", 403],
      ["viewer", 403],
    ] as const) {
      const { call } = await addMember(app, tenant, role);
      expect([role, (await call("GET", path)).status]).toEqual([role, status]);
    }
    expect((await app.inject(`/api/v1${path}`)).statusCode).toBe(401);
  });

  test("tenant B cannot see A's: it is as if there were no such tenant", async () => {
    const [a, b] = [await createMember(app), await createMember(app)];
    const { call } = await addMember(app, b.tenant, "owner");
    const foreign = await call("GET", `/tenants/${a.tenant.id}/usage`);
    expect(foreign.status).toBe(404);
    expect(foreign).toEqual(await call("GET", "/tenants/nobody/usage"));
    const stranger = { email: "stranger@example.com", password: login.password };
    const made = await app.inject({
      method: "POST",
      url: "/api/v1/auth/register",
      payload: stranger,
    });
    const headers = { authorization: `Bearer ${made.json().access_token}` };
    const theirs = await app.inject({ url: `/api/v1/tenants/${a.tenant.id}/usage`, headers });
    expect(theirs.statusCode).toBe(404);
  });
});

describe("requests", () => {
  test("of strangers, and those that a limit refuses, are not counted", async () => {
    const member = await createMember(app);
    const headers = { "x-tenant": member.tenant.key };
    await app.inject({ url: "/api/v1/contacts", headers });
    await app.inject({ url: "/api/v1/contacts", headers: { authorization: "Bearer none" } });
    await member.call("GET", "/contacts");
    await member.call("GET", "/contacts/1");
    expect(series((await usageOf(member)).body, "requests")).toMatchObject({ total: 2 });
  });

  test("beyond the day's quota are refused, and another tenant's are not", async () => {
    const [a, b] = [await createMember(app), await createMember(app)];
    await app.tenants.update(a.tenant.id, { plan: "free" });
    for (let i = 0; i < 30; i += 1) await a.call("GET", "/contacts?limit=1");
    const refused = await app.inject({
      url: "/api/v1/contacts",
      headers: { authorization: `Bearer ${a.token}` },
    });
    expect(refused.statusCode).toBe(429);
    expect(refused.json()).toMatchObject({ code: "quota_exceeded", quota: "requests_per_day" });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect((await b.call("GET", "/contacts")).status).toBe(200);
  });
});

describe("jobs", () => {
  test("are counted and held to the day's quota, but for those that are part of something else", async () => {
    const member = await createMember(app);
    await app.tenants.update(member.tenant.id, { settings: { limits: { jobs_per_day: 2 } } });
    await app.withTenant(member.tenant.id, async ({ jobs, db }) => {
      await jobs.send(counted, {});
      await db.transaction().execute((tx) => jobs.send(counted, {}, { tx }));
      for (let i = 0; i < 5; i += 1) await jobs.send(uncounted, {});
      await expect(jobs.send(counted, {})).rejects.toMatchObject({
        code: "quota_exceeded",
        members: { quota: "jobs_per_day", limit: 2 },
      });
      await jobs.send(uncounted, {});
    });
    const { body } = await usageOf(member);
    expect(series(body, "jobs")).toMatchObject({ total: 2 });
    expect(body.quotas).toContainEqual({ name: "jobs_per_day", limit: 2, used: 2 });
  });
});

test("what is measured of a tenant that does nothing stays, until it does something", async () => {
  const member = await createMember(app);
  await addContacts(member, 2);
  await usageOf(member);
  const control = await app.withPlatform("a test", async (scope) => scope.control);
  const measure = () =>
    measureAll(
      { control, withTenant: app.withTenant },
      { log: pino({ level: "silent" }), signal: new AbortController().signal },
    );
  const { id } = member.tenant;
  const ago = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
  const moveTo = (days: number) =>
    sql`update control.usage_daily set day = ${ago(days)}::date where tenant_id = ${id}`.execute(
      control,
    );
  const rowsOn = async (days: number) => {
    const { rows } = await sql<{ amount: string }>`
      select amount from control.usage_daily
      where tenant_id = ${id} and metric = 'rows' and day = ${ago(days)}::date`.execute(control);
    return rows.map(({ amount }) => Number(amount));
  };
  await moveTo(40);
  // Not counted, so nobody is to measure it: it is still what it was 40 days ago.
  await sql`update control.usage_measured set wanted = false, at = now() - interval '2 hours'
    where tenant_id = ${id}`.execute(control);
  await app.withTenant(id, ({ db }) => db.query("insert into contacts (name) values ('Ada')"));
  await measure();
  expect(await rowsOn(0)).toEqual([]);
  const { body } = await asAdmin("/platform/analytics");
  expect(body.levels.rows).toBeGreaterThanOrEqual(2);
  await moveTo(401);
  await measure();
  expect([await rowsOn(401), await rowsOn(0)]).toEqual([[], [2]]);
  // It does something.
  await sql`update control.usage_measured set at = now() - interval '2 hours'
    where tenant_id = ${id}`.execute(control);
  await member.call("GET", "/contacts");
  await usageOf(await createMember(app));
  await measure();
  expect(await rowsOn(0)).toEqual([3]);
});

test("tenants that have done something are measured within the hour, each once, whoever asks", async () => {
  const [a, b] = [await createMember(app), await createMember(app, "database")];
  await addContacts(b, 2);
  const control = await app.withPlatform("a test", async (scope) => scope.control);
  const levels = async ({ tenant }: TestMember) => {
    const rows = await control
      .selectFrom("control.usage_daily")
      .select(["metric", "amount"])
      .where("tenant_id", "=", tenant.id)
      .where("metric", "in", ["users", "rows", "active_users"])
      .execute();
    return Object.fromEntries(rows.map(({ metric, amount }) => [metric, Number(amount)]));
  };
  const measure = () =>
    measureAll(
      { control, withTenant: app.withTenant },
      { log: pino({ level: "silent" }), signal: new AbortController().signal },
    );
  await Promise.all([measure(), measure()]);
  expect(await levels(a)).toEqual({ users: 1, rows: 0, active_users: 1 });
  expect(await levels(b)).toEqual({ users: 1, rows: 2, active_users: 1 });
  await addContacts(b, 1);
  await measure();
  expect(await levels(b)).toMatchObject({ rows: 2 });
});

describe("the platform's analytics", () => {
  test("say how many tenants there are of each kind, and who uses most", async () => {
    const [busy, large] = [await createMember(app), await createMember(app, "schema")];
    await app.tenants.update(busy.tenant.id, { plan: "gold" });
    for (let i = 0; i < 40; i += 1) await busy.call("GET", "/contacts");
    await app.withTenant(large.tenant.id, ({ db }) =>
      db.query("insert into contacts (name) select 'Ada' from generate_series(1, 500)"),
    );
    await usageOf(large);
    await app.tenants.suspend((await createMember(app)).tenant.id);

    const { status, body } = await asAdmin("/platform/analytics");
    expect(status).toBe(200);
    expect(body.tenants.by_plan.gold).toBe(1);
    expect(body.tenants.by_status.suspended).toBe(1);
    expect(body.tenants.by_isolation.schema).toBeGreaterThanOrEqual(1);
    expect(body.days).toHaveLength(30);
    const last = body.days.at(-1);
    expect(last.day).toBe(today());
    expect(last.new_tenants).toBe(body.tenants.total);
    expect(last.active_tenants).toBeGreaterThanOrEqual(1);
    expect(last.requests).toBeGreaterThanOrEqual(40);
    expect(body.top.requests[0]).toMatchObject({ key: busy.tenant.key, amount: 40 });
    expect(body.top.rows[0]).toMatchObject({ key: large.tenant.key, amount: 500 });
    expect(body.levels.rows).toBeGreaterThanOrEqual(500);
  });

  test("are for platform administrators alone", async () => {
    const { tenant } = await createMember(app);
    const owner = await addMember(app, tenant, "owner");
    expect((await owner.call("GET", "/platform/analytics")).status).toBe(403);
    expect((await app.inject("/api/v1/platform/analytics")).statusCode).toBe(401);
    expect((await asAdmin("/platform/analytics?from=2020-01-01")).status).toBe(400);
  });
});
