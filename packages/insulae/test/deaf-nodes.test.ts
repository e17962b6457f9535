/**
 * A node that no longer hears what others announce doesn't believe what it has cached: a log-out, a demotion
 * and a suspension bite all the same.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createApp } from "../src/app/app.ts";
import type { App } from "../src/app/app-api.ts";
import type { Embedded } from "../src/embedded-postgres/supervisor.ts";
import { type DatabaseProxy, openDatabaseProxy } from "../src/testing/database-proxy.ts";
import { addMember, createMember, type TestMember } from "../src/testing/fixtures.ts";
import { testMasterSecret } from "../src/testing/test-secret.ts";
import { startTestServer } from "../src/testing/test-server.ts";

// A server of its own: its processes are stopped here.
let folder: string;
let server: Embedded;
let proxy: DatabaseProxy;
let home: App;
let superuser: pg.Client;

const open = (databaseUrl: string, lines?: string[]): Promise<App> =>
  createApp({
    env: {},
    config: {
      ...{ env: "test", databaseUrl, dataDir: folder, masterSecret: testMasterSecret },
      ...{ logLevel: "silent", databaseConnections: 20, argon2: { memoryKib: 64, passes: 1 } },
      rateLimits: {
        ...{ global: 1e9, plans: { free: 1e9 }, account: 1e9, anonymous: 1e9, credentials: 1e9 },
      },
    },
    ...(lines && { log: pino({ level: "warn" }, { write: (line) => void lines.push(line) }) }),
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "insulae-deaf-"));
  server = await startTestServer(folder);
  proxy = await openDatabaseProxy(server.url);
  home = await open(server.url);
  superuser = new pg.Client({ connectionString: server.url });
  await superuser.connect();
});
afterAll(async () => {
  await superuser?.end();
  await home?.close();
  await proxy?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** A second node, whose connections go through the proxy. */
async function openNode() {
  const lines: string[] = [];
  const before = await listeners();
  const node = await open(proxy.url, lines);
  onTestFinished(async () => {
    proxy.mend();
    await node.close();
  });
  const listener = (await listeners()).find((pid) => !before.includes(pid)) ?? 0;
  const said = () => lines.map((line) => JSON.parse(line).msg as string);
  return { node, listener, said };
}

const listeners = async (): Promise<number[]> => {
  const { rows } = await superuser.query<{ pid: number }>(
    "select pid from pg_stat_activity where application_name = 'insulae listener'",
  );
  return rows.map(({ pid }) => pid);
};

const statusOn = async (node: App, { token }: TestMember, url = "/api/v1/contacts") => {
  const headers = { authorization: `Bearer ${token}` };
  return (await node.inject({ url, headers })).statusCode;
};

/** Makes people whom the node has let in; then what becomes of them is made on another node. */
async function letIn(node: App) {
  const { tenant } = await createMember(home);
  const owner = await addMember(home, tenant, "owner");
  const leaver = await addMember(home, tenant);
  const admin = await addMember(home, tenant, "admin");
  const suspended = await createMember(home);
  const ask = () =>
    Promise.all([
      statusOn(node, leaver),
      statusOn(node, admin, "/api/v1/users"),
      statusOn(node, suspended),
    ]);
  await expect.poll(ask).toEqual([200, 200, 200]);
  return {
    ask,
    async shutOut() {
      const boss = await home.inject({
        ...{ method: "PATCH", url: `/api/v1/users/${admin.userId}` },
        ...{ payload: { role: "viewer" }, headers: { authorization: `Bearer ${owner.token}` } },
      });
      expect(boss.statusCode, boss.body).toBe(200);
      expect((await leaver.call("POST", "/auth/logout")).status).toBeLessThan(300);
      await home.tenants.suspend(suspended.tenant.id);
    },
  };
}

const shutOut = [401, 403, 403];
const readiness = async (node: App) => {
  const { status, dependencies } = (await node.inject("/health/ready")).json();
  return [status, dependencies.announcements.status];
};
const heard = async (node: App) =>
  Number(/^insulae_announcements_heard (\d)$/m.exec((await node.inject("/metrics")).body)?.[1]);

const faults = {
  "whose listening PostgreSQL process is stopped": {
    begin: (pid: number) => process.kill(pid, "SIGSTOP"),
    end: (pid: number) => process.kill(pid, "SIGCONT"),
  },
  "whose listening connection is half open": { begin: () => proxy.hang(), end: () => proxy.mend() },
  "whose notifications a pooler swallows": {
    begin: () => proxy.swallow(),
    end: () => proxy.mend(),
  },
};

describe.each(Object.entries(faults))("a node %s", (_, fault) => {
  test("soon lets nobody in who is to stay out, says that it is deaf, and hears again", {
    timeout: 90_000,
  }, async () => {
    const { node, listener, said } = await openNode();
    const people = await letIn(node);
    expect(await readiness(node)).toEqual(["ready", "up"]);
    fault.begin(listener);
    let lasts = true;
    const end = () => {
      if (lasts) fault.end(listener);
      lasts = false;
    };
    onTestFinished(end);
    await people.shutOut();
    await expect.poll(people.ask).toEqual(shutOut);
    await expect
      .poll(said)
      .toContainEqual(expect.stringContaining("Announcements are not being received"));
    end();
    await expect.poll(() => readiness(node)).toEqual(["ready", "up"]);
    await expect.poll(said).toContain("Announcements are received again");
    const others = await letIn(node);
    await others.shutOut();
    await expect.poll(others.ask).toEqual(shutOut);
  });
});

test("a node that can't listen at all goes on, asks anew each second, and says that it is degraded", {
  timeout: 90_000,
}, async () => {
  const { node } = await openNode();
  expect(await heard(node)).toBe(1);
  proxy.hang();
  await expect.poll(() => readiness(node)).toEqual(["degraded", "down"]);
  expect(await heard(node)).toBe(0);
  const people = await letIn(node);
  await people.shutOut();
  await expect.poll(people.ask).toEqual(shutOut);
  expect(await readiness(node)).toEqual(["degraded", "down"]);
});

test("a server whose LISTEN hears nothing refuses to start, and says what to do", {
  timeout: 60_000,
}, async () => {
  proxy.swallow();
  onTestFinished(() => proxy.mend());
  await expect(open(proxy.url)).rejects.toThrow("set DATABASE_DIRECT_URL to PostgreSQL itself");
});
