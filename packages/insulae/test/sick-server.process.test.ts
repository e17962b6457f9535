/** What a database server that stops or hangs does to others' tenants: nothing. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { Type } from "typebox";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Embedded, startEmbedded } from "../src/embedded-postgres/supervisor.ts";
import { standardFeatures } from "../src/features/index.ts";
import { feature } from "../src/kernel/feature/feature.ts";
import { job } from "../src/kernel/feature/job.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp, type TestApp } from "../src/testing/test-app.ts";
import { until } from "../src/testing/until.ts";

const budget = 20;
/** Half of what the control plane's reserve leaves. */
const share = (budget - 4) / 2;
const databases = 44;

const counted: string[] = [];
/** Needs the tenant's database. */
const count = job("tests.count-contacts", {
  data: Type.Object({ of: Type.String() }),
  retries: 0,
  async run({ of }, { db, job: { attempt } }) {
    await db.query("select count(*) from contacts");
    counted.push(`${of} ${attempt}`);
  },
});

let dataDir: string;
let server: Embedded;
let app: TestApp;
let sick: TestMember[];
let healthy: TestMember[];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "insulae-sick-server-"));
  server = await startSecond();
  app = await createTestApp({
    features: [...standardFeatures, feature("counting", { jobs: [count] })],
    config: { databaseConnections: budget },
  });
  await app.servers.add({ name: "second", url: server.url });
  await app.servers.update("main", { accepting: false });
  sick = await members(databases, "database");
  await app.servers.update("main", { accepting: true });
  await app.servers.update("second", { accepting: false });
  healthy = await members(4, "pool");
  healthy.push(...(await members(2, "database")));
  await app.servers.update("second", { accepting: true, weight: 1_000 });
}, 180_000);

afterAll(async () => {
  await app?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
}, 60_000);

const startSecond = () =>
  startEmbedded({ dataDir, durable: false, settings: { max_connections: 100 } });

async function members(number: number, isolation: "pool" | "database") {
  const made: TestMember[] = [];
  while (made.length < number) {
    const some = Math.min(4, number - made.length);
    made.push(
      ...(await Promise.all(Array.from({ length: some }, () => createMember(app, isolation)))),
    );
  }
  return made;
}

const ask = (member: TestMember, method: "GET" | "POST" = "GET") =>
  app.inject({
    method,
    url: "/api/v1/contacts",
    headers: { authorization: `Bearer ${member.token}` },
    ...(method === "POST" && { payload: { name: "Ada" } }),
  });
const statusesOf = async (all: readonly TestMember[], method: "GET" | "POST" = "GET") => {
  const replies = await Promise.all(all.map((member) => ask(member, method)));
  for (const { statusCode, headers, body } of replies) {
    if (statusCode === 503) expect(headers["retry-after"], body).toBeDefined();
  }
  return new Set(replies.map(({ statusCode }) => statusCode));
};
const allWork = async () => {
  const all = [...sick, ...healthy];
  await expect.poll(() => statusesOf(all), { timeout: 30_000 }).toEqual(new Set([200]));
};
const readiness = async () => {
  const { statusCode, body } = await app.inject({ url: "/health/ready" });
  return [statusCode, JSON.parse(body).status];
};
const metric = async (name: string) => {
  const { body } = await app.inject({ url: "/metrics" });
  return Number(new RegExp(`^${name}\\{server="second"\\} (\\S+)$`, "m").exec(body)?.[1]);
};

async function serverProcesses(): Promise<number[]> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const list = (...args: string[]) =>
    execFileSync("ps", ["-o", ...args], { encoding: "utf8" })
      .trim()
      .split(/\s+/)
      .map(Number);
  const [postmaster = 0] = list("ppid=", "-p", String(rows[0]?.pid));
  await client.end();
  return [postmaster, ...list("pid=", "--ppid", String(postmaster))];
}

const signal = (pids: readonly number[], name: "SIGSTOP" | "SIGCONT") => {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended meanwhile.
    }
  }
};

/** Runs `fn` while every process of the second server is suspended. */
async function whileHung(fn: () => Promise<void>) {
  const pids = await serverProcesses();
  signal(pids, "SIGSTOP");
  try {
    await fn();
  } finally {
    signal(pids, "SIGCONT");
  }
}

const placedOn = async (reference: string) => (await app.tenants.get(reference)).placement.serverId;

test("a server that hangs is its tenants' trouble alone, and they are served again by themselves", async () => {
  await allWork();
  let most = 0;
  const watching = setInterval(async () => {
    most = Math.max(most, await metric("insulae_db_server_connections"));
  }, 50);
  await whileHung(async () => {
    // Reads and writes of all its tenants, again and again until each was refused.
    let refusedAll = 0;
    const pressing = Promise.all(
      sick.map(async (member, n) => {
        for (let refused = 0; refused < 3; refused += 1) {
          const { statusCode, headers } = await ask(member, n % 2 ? "GET" : "POST");
          expect([statusCode, headers["retry-after"]]).toEqual([503, expect.any(String)]);
        }
        refusedAll += 1;
      }),
    );
    let answered = 0;
    const allAreRefused = async () => {
      expect(await statusesOf(healthy)).toEqual(new Set([200]));
      expect(await statusesOf(healthy, "POST")).toEqual(new Set([201]));
      expect(await readiness()).toEqual([200, "ready"]);
      answered += 2 * healthy.length;
      return refusedAll === sick.length;
    };
    await until("each was refused three times", allAreRefused, 90_000);
    await pressing;
    // They went on all the while, rather than in between.
    expect(answered).toBeGreaterThan(3 * sick.length);
    expect(await metric("insulae_db_server_up")).toBe(0);

    // New tenants go elsewhere, whatever the weights say, unless they have to go there.
    const { id } = await app.tenants.create({ key: "elsewhere", name: "Elsewhere" });
    expect(await placedOn(id)).toBe(await app.servers.idOf("main"));
    await expect(
      app.tenants.create({ key: "there", name: "There", server: "second" }),
    ).rejects.toMatchObject({ code: "server_unavailable", status: 503 });
  });
  clearInterval(watching);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(share);
  await allWork();
  expect(await metric("insulae_db_server_up")).toBe(1);
}, 120_000);

test("jobs of tenants on a server that hangs wait for it, and no other's job for them", async () => {
  await allWork();
  const send = (member: TestMember, of: string) =>
    app.withTenant(member.tenant, ({ jobs }) => jobs.send(count, { of }));
  await whileHung(async () => {
    for (const [n, member] of sick.entries()) await send(member, `sick ${n}`);
    for (const [n, member] of healthy.entries()) await send(member, `healthy ${n}`);
    const own = () => counted.filter((each) => each.startsWith("healthy")).length;
    await expect.poll(own, { timeout: 30_000 }).toBe(healthy.length);
    expect(counted).toHaveLength(healthy.length);
  });
  // Each at its first attempt: what failed because the server hung was none.
  await expect
    .poll(() => counted.filter((each) => /^sick \d+ 1$/.test(each)).length, { timeout: 45_000 })
    .toBe(sick.length);
}, 120_000);

test("a server that is stopped is refused at once, no tenant is placed on it, and it is found again", async () => {
  await allWork();
  await server.stop();
  await expect.poll(() => statusesOf(sick), { timeout: 20_000 }).toEqual(new Set([503]));
  await expect.poll(() => metric("insulae_db_server_up"), { timeout: 20_000 }).toBe(0);
  expect(await statusesOf(healthy)).toEqual(new Set([200]));
  expect(await readiness()).toEqual([200, "ready"]);
  const { id } = await app.tenants.create({ key: "main-only", name: "Main", isolation: "schema" });
  expect(await placedOn(id)).toBe(await app.servers.idOf("main"));
  server = await startSecond();
  await allWork();
}, 120_000);
