import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { App } from "../../app/app-api.ts";
import { createTestApp } from "../../testing/index.ts";
import type { Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { createPlans } from "../tenancy/plans.ts";
import { createUsageCounts, type UsageCounts } from "./counts.ts";

let app: App;
let control: Kysely<ControlTables>;
let a: Tenant;
let b: Tenant;
let time: number;
const lines: string[] = [];
const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });

beforeAll(async () => {
  app = await createTestApp();
  control = await app.withPlatform("a test", async (scope) => scope.control);
});
afterAll(() => app?.close());

beforeEach(async () => {
  time = Date.parse("2026-03-01T12:00:00Z");
  lines.length = 0;
  const create = () => {
    const key = `t${crypto.randomUUID().replaceAll("-", "")}`;
    return app.tenants.create({ key, name: key, plan: "free" });
  };
  [a, b] = [await create(), await create()];
});

const open = (
  options: { control?: QueryExecutorProvider; requests?: number; maxTenants?: number } = {},
): UsageCounts =>
  createUsageCounts({
    control: options.control ?? control,
    plans: createPlans({ free: { requests_per_day: options.requests ?? 0 } }),
    log,
    now: () => time,
    ...(options.maxTenants !== undefined && { maxTenants: options.maxTenants }),
  });

async function written(tenant: Tenant): Promise<Record<string, number>> {
  const { rows } = await sql<{ name: string; amount: string }>`
    select day || ' ' || metric as name, amount from control.usage_daily
    where tenant_id = ${tenant.id}`.execute(control);
  return Object.fromEntries(rows.map(({ name, amount }) => [name, Number(amount)]));
}

/** The control plane, which fails as `fault` says, before or after executing a statement. */
function faulty(fault: { at: "before" | "after" | undefined }): QueryExecutorProvider {
  const executor = control.getExecutor();
  return {
    getExecutor: () =>
      new Proxy(executor, {
        get(target, name) {
          if (name !== "executeQuery") {
            const member: unknown = Reflect.get(target, name);
            return typeof member === "function" ? member.bind(target) : member;
          }
          return async (...args: Parameters<typeof target.executeQuery>) => {
            if (fault.at === "before") throw new Error("no connection");
            const result = await target.executeQuery(...args);
            if (fault.at === "after") throw new Error("the reply was lost");
            return result;
          };
        },
      }),
  };
}

const times = (count: number, work: () => void) => {
  for (let i = 0; i < count; i += 1) work();
};

describe("usage", () => {
  test("is written by tenant, day and metric, and added to the stored total", async () => {
    const usage = open();
    times(3, () => usage.count(a, "requests"));
    usage.count(a, "notifications", 5);
    usage.count(b, "requests");
    await usage.flush();
    usage.count(a, "requests");
    await usage.flush();
    await usage.flush();
    expect(await written(a)).toEqual({ "2026-03-01 requests": 4, "2026-03-01 notifications": 5 });
    expect(await written(b)).toEqual({ "2026-03-01 requests": 1 });
  });

  test("counts for the day on which it happened, even if written later", async () => {
    const usage = open();
    time = Date.parse("2026-03-01T23:59:59.999Z");
    times(2, () => usage.count(a, "requests"));
    time += 1;
    usage.count(a, "requests");
    await usage.flush();
    expect(await written(a)).toEqual({ "2026-03-01 requests": 2, "2026-03-02 requests": 1 });
  });

  test("of two concurrent nodes is added up", async () => {
    const nodes = Array.from({ length: 4 }, () => open());
    for (let round = 0; round < 10; round += 1) {
      for (const node of nodes) {
        node.count(a, "requests");
        node.count(b, "requests", 2);
      }
      await Promise.all(nodes.map((node) => node.flush()));
    }
    expect(await written(a)).toEqual({ "2026-03-01 requests": 40 });
    expect(await written(b)).toEqual({ "2026-03-01 requests": 80 });
  });

  test("is written when the process stops", async () => {
    const usage = open();
    usage.start();
    usage.count(a, "jobs");
    await usage.close();
    expect(await written(a)).toEqual({ "2026-03-01 jobs": 1 });
  });

  test("is not written if there is none", async () => {
    const usage = open({ control: faulty({ at: "before" }) });
    await usage.flush();
    expect(lines).toEqual([]);
  });

  test("of a tenant erased meanwhile does not prevent writing others'", async () => {
    const usage = open();
    const gone = { ...a, id: crypto.randomUUID() } as Tenant;
    usage.count(gone, "requests");
    usage.count(b, "requests");
    await usage.flush();
    expect(await written(b)).toEqual({ "2026-03-01 requests": 1 });
  });
});

describe("nothing is lost or counted twice", () => {
  test("if the database is unavailable", async () => {
    const fault: Parameters<typeof faulty>[0] = { at: "before" };
    const usage = open({ control: faulty(fault) });
    usage.count(a, "requests", 3);
    await usage.flush();
    usage.count(a, "requests", 4);
    await usage.flush();
    expect(await written(a)).toEqual({});
    expect(lines.join()).toContain("Could not write usage counts");
    fault.at = undefined;
    await usage.flush();
    expect(await written(a)).toEqual({ "2026-03-01 requests": 7 });
  });

  test("if only the response was lost", async () => {
    const fault: Parameters<typeof faulty>[0] = { at: "after" };
    const usage = open({ control: faulty(fault) });
    usage.count(a, "requests", 3);
    await usage.flush();
    usage.count(a, "requests", 4);
    await usage.flush();
    expect(await written(a)).toEqual({ "2026-03-01 requests": 3 });
    fault.at = undefined;
    await usage.flush();
    expect(await written(a)).toEqual({ "2026-03-01 requests": 7 });
  });

  test("if it is flushed many times concurrently", async () => {
    const usage = open();
    usage.count(a, "requests", 3);
    await Promise.all(Array.from({ length: 10 }, () => usage.flush()));
    expect(await written(a)).toEqual({ "2026-03-01 requests": 3 });
  });
});

describe("a daily quota", () => {
  test("refuses further use, with the time to retry, the quota and the plan", async () => {
    const usage = open({ requests: 5 });
    times(3, () => usage.count(a, "requests"));
    await usage.flush();
    times(2, () => usage.count(a, "requests"));
    expect(() => usage.count(a, "requests")).toThrow(
      expect.objectContaining({
        code: "quota_exceeded",
        status: 429,
        headers: { "retry-after": String(12 * 3600) },
        members: { quota: "requests_per_day", limit: 5, plan: "free", setting: "PLAN_QUOTAS" },
      }),
    );
    await usage.flush();
    expect(await written(a)).toEqual({ "2026-03-01 requests": 5 });
  });

  test("is per tenant, and full again the next day", async () => {
    const usage = open({ requests: 2 });
    times(2, () => usage.count(a, "requests"));
    times(2, () => usage.count(b, "requests"));
    await usage.flush();
    expect(() => usage.count(b, "requests")).toThrow();
    time += 86_400_000;
    times(2, () => usage.count(b, "requests"));
    expect(() => usage.count(b, "requests")).toThrow();
  });

  test("is shared by the nodes, which learn the totals when they write", async () => {
    const [one, two] = [open({ requests: 10 }), open({ requests: 10 })];
    times(6, () => one.count(a, "requests"));
    times(3, () => two.count(a, "requests"));
    await one.flush();
    await two.flush();
    two.count(a, "requests");
    expect(() => two.count(a, "requests")).toThrow();
  });

  test("includes counts in flight to the database", async () => {
    const usage = open({ control: faulty({ at: "before" }), requests: 3 });
    times(3, () => usage.count(a, "requests"));
    await usage.flush();
    expect(() => usage.count(a, "requests")).toThrow();
  });
});

test("memory is bounded: tenants beyond the bound are not counted, which is logged once", async () => {
  const usage = open({ maxTenants: 1 });
  usage.count(a, "requests");
  times(5, () => usage.count(b, "requests"));
  usage.count(a, "requests");
  await usage.flush();
  expect(await written(a)).toEqual({ "2026-03-01 requests": 2 });
  expect(await written(b)).toEqual({});
  expect(lines.filter((line) => line.includes("Too many tenants"))).toHaveLength(1);
});
