/** What a whole app tells Prometheus, and what `deploy/` makes of it. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Type } from "typebox";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { App } from "../src/app/app-api.ts";
import { dialects } from "../src/dialects/index.ts";
import { standardFeatures } from "../src/features/index.ts";
import { feature } from "../src/kernel/feature/feature.ts";
import { counter } from "../src/kernel/telemetry/metrics.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import { describeWith, findProgram } from "../src/testing/left-out.ts";

const rung = counter("bells_rung_total", "Bells that were rung", ["size"]);

const bells = feature("bells", {
  routes: (r) => [
    r.get(
      "/bells",
      { permission: "authenticated", summary: "Rings", response: Type.Object({}) },
      ({ metrics }) => {
        metrics.counter(rung, { size: "large" }).add();
        return {};
      },
    ),
  ],
});

let app: App;
let acme: TestMember;
let globex: TestMember;
beforeAll(async () => {
  app = await createTestApp({
    features: [...standardFeatures, ...dialects, bells],
    // Nobody listens there.
    config: { redisUrl: "redis://127.0.0.1:1" },
  });
  [acme, globex] = await Promise.all([createMember(app), createMember(app, "database")]);
}, 60_000);
afterAll(() => app?.close());

async function value(start: string): Promise<number> {
  const { body } = await app.inject("/metrics");
  const lines = body.split("\n").filter((line) => line.startsWith(start));
  if (lines.length === 0) throw new Error(`there is no ${start}`);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

it("counts each tenant's requests apart", async () => {
  const of = ({ tenant }: TestMember) =>
    value(`insulae_tenant_requests_total{tenant_id="${tenant.id}",tenant="${tenant.key}"}`);
  const before = [await of(acme), await of(globex)];
  for (let i = 0; i < 3; i++) await acme.call("GET", "/contacts");
  for (let i = 0; i < 2; i++) await globex.call("GET", "/contacts");
  expect([await of(acme), await of(globex)]).toEqual([(before[0] ?? 0) + 3, (before[1] ?? 0) + 2]);
});

it("counts what a feature counts", async () => {
  expect((await acme.call("GET", "/bells")).status).toBe(200);
  expect(await value('bells_rung_total{size="large"}')).toBe(1);
});

it("measures statements on lanes and in transactions, and knows the connections", async () => {
  const lane = 'insulae_db_statement_duration_seconds_count{plane="data",way="lane"}';
  const before = await value(lane);
  await acme.call("GET", "/contacts");
  expect(await value(lane)).toBe(before + 1);
  await app.withTenant(acme.tenant, ({ db }) =>
    db.transaction().execute((tx) => tx.selectNoFrom((eb) => eb.lit(1).as("one")).execute()),
  );
  const transactions =
    'insulae_db_statement_duration_seconds_count{plane="data",way="transaction"}';
  expect(await value(transactions)).toBeGreaterThan(0);
  const errors = 'insulae_db_statement_errors_total{plane="data",way="lane"}';
  expect(await value(errors)).toBe(0);
  await expect(app.withTenant(acme.tenant, ({ db }) => db.query("select 1 / 0"))).rejects.toThrow();
  expect(await value(errors)).toBe(1);
  expect(await value("insulae_db_connections{")).toBeGreaterThan(0);
  expect(await value("insulae_db_connections_max")).toBe(app.config.databaseConnections);
  expect(await value("insulae_db_lanes{")).toBeGreaterThan(0);
});

it("knows how often the cache had what was asked of it", async () => {
  const outcome = (name: string) => value(`cache_lookups_total{outcome="${name}"}`);
  const before = [await outcome("hit"), await outcome("miss")];
  await app.withTenant(acme.tenant, async ({ cache }) => {
    await cache.get("nothing");
    await cache.set("something", 1);
    await cache.get("something");
  });
  expect([await outcome("hit"), await outcome("miss")]).toEqual([
    (before[0] ?? 0) + 1,
    (before[1] ?? 0) + 1,
  ]);
});

it("knows the process", async () => {
  expect(await value("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
  expect(await value("process_cpu_seconds_total")).toBeGreaterThan(0);
  expect(await value('nodejs_eventloop_lag_seconds{percentile="99"}')).toBeGreaterThanOrEqual(0);
  expect(await value("insulae_build_info{")).toBe(1);
  expect(await value("insulae_log_viewers")).toBe(0);
  for (const percentile of [50, 95, 99]) {
    const name = `insulae_http_request_duration_recent_seconds{percentile="${percentile}"}`;
    expect(await value(name)).toBeGreaterThan(0);
  }
});

it("is degraded without Redis, and says so", async () => {
  const ready = await app.inject("/health/ready");
  expect([ready.statusCode, ready.json()]).toEqual([
    200,
    {
      status: "degraded",
      dependencies: {
        announcements: { status: "up", latency_ms: expect.any(Number) },
        database: { status: "up", latency_ms: expect.any(Number) },
        redis: { status: "down", latency_ms: expect.any(Number) },
        writes: { status: "up", latency_ms: expect.any(Number) },
      },
    },
  ]);
  expect(await value("insulae_redis_up")).toBe(0);
});

it("knows what is in the queue of jobs", async () => {
  for (const state of ["waiting", "active", "failed"]) {
    expect(await value(`insulae_jobs_queued{state="${state}"}`)).toBeGreaterThanOrEqual(0);
  }
});

const deployed = (path: string) =>
  fileURLToPath(new URL(`../../../deploy/${path}`, import.meta.url));
const rules = deployed("prometheus/rules.yml");
const dashboard = deployed("grafana/insulae.json");

describe("deploy/", () => {
  it("names no metric that is not exported", async () => {
    const { body } = await app.inject("/metrics");
    const exported = new Set([...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    for (const path of [rules, dashboard]) {
      const text = readFileSync(path, "utf8");
      const names = [...text.matchAll(/(?<![\w:])(?:insulae|http|nodejs|process)_[a-z_]+/g)];
      expect(names.length).toBeGreaterThan(10);
      for (const [name] of names) {
        expect(exported).toContain(name.replace(/_(?:bucket|sum|count)$/, ""));
      }
    }
  });

  it("has a dashboard that Grafana can read", () => {
    const { panels } = JSON.parse(readFileSync(dashboard, "utf8"));
    expect(panels.length).toBeGreaterThan(10);
    for (const { targets } of panels) for (const { expr } of targets) expect(expr).toBeTruthy();
  });
});

const describeWithPromtool = describeWith({
  name: "promtool",
  variable: "INSULAE_TEST_PROMTOOL",
  find: () => findProgram("promtool"),
});
describeWithPromtool("Prometheus itself", () => {
  const promtool = (args: readonly string[], input = "") =>
    spawnSync("promtool", args, { input, encoding: "utf8" });

  it("takes the rules in deploy/, and the metrics", async () => {
    expect(promtool(["check", "rules", rules])).toMatchObject({ status: 0 });
    const { body } = await app.inject("/metrics");
    expect(promtool(["check", "metrics"], body)).toMatchObject({ status: 0, stderr: "" });
  });
});
