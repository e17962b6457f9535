/** What happens to requests when the database goes away under them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../src/app/app.ts";
import type { App } from "../src/app/app-api.ts";
import { type Embedded, startEmbedded } from "../src/embedded-postgres/supervisor.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { until } from "../src/testing/until.ts";

let dataDir: string;
let server: Embedded;
let app: App;
let member: TestMember;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "insulae-faults-"));
  // Durable, unlike the one that the other tests share: it is about to crash.
  server = await startEmbedded({ dataDir });
  const config = { databaseUrl: server.url, dataDir, logLevel: "silent", env: "test" } as const;
  app = await createApp({ env: {}, config });
  member = await createMember(app, "database");
});

afterAll(async () => {
  await app?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** The process id of the PostgreSQL that serves the tests of this file alone. */
async function postmasterPid(): Promise<number> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    return Number(
      execFileSync("ps", ["-o", "ppid=", "-p", String(rows[0]?.pid)], { encoding: "utf8" }),
    );
  } finally {
    await client.end();
  }
}

const request = () =>
  app.inject({
    method: "GET",
    url: "/api/v1/contacts",
    headers: { authorization: `Bearer ${member.token}` },
  });

/** Asks until five answers in a row were good. @returns the statuses on the way there. */
async function untilAnswered(): Promise<Set<number>> {
  const statuses = new Set<number>();
  let good = 0;
  await until("five answers in a row are good", async () => {
    const reply = await request();
    statuses.add(reply.statusCode);
    good = reply.statusCode === 200 ? good + 1 : 0;
    if (reply.statusCode !== 200) expect(reply.headers["retry-after"], reply.body).toBeDefined();
    return good === 5;
  });
  return statuses;
}

test("when PostgreSQL crashes, requests are answered again, and with nothing but 503 meanwhile", async () => {
  expect((await request()).statusCode).toBe(200);
  const crashed = await postmasterPid();
  // SIGQUIT is PostgreSQL's immediate shutdown: as a crash, without a farewell to its clients.
  process.kill(crashed, "SIGQUIT");
  expect([...(await untilAnswered())].filter((status) => status !== 200 && status !== 503)).toEqual(
    [],
  );
  expect(await postmasterPid()).not.toBe(crashed);
});

test("while PostgreSQL is down, requests get 503 with Retry-After", async () => {
  await server.stop();
  const refused = await request();
  expect([refused.statusCode, refused.headers["retry-after"]]).toEqual([503, "1"]);
  expect(JSON.parse(refused.body).code).toMatch(/^database_/);
  server = await startEmbedded({ dataDir });
  await untilAnswered();

  // What others announce is heard again: a suspension bites at once.
  await app.tenants.suspend(member.tenant.id);
  expect((await request()).statusCode).toBe(403);
});
