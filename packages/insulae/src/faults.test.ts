/** What happens to requests when the database goes away under them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type App, createApp } from "./app.ts";
import { type Embedded, startEmbedded } from "./kernel/database/embedded/supervisor.ts";
import { createMember, type TestMember } from "./testing/fixtures.ts";

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

test("while PostgreSQL restarts requests get 503 with Retry-After, and then answers again", async () => {
  const request = () =>
    app.inject({
      method: "GET",
      url: "/api/v1/contacts",
      headers: { authorization: `Bearer ${member.token}` },
    });
  expect((await request()).statusCode).toBe(200);

  // SIGQUIT is PostgreSQL's immediate shutdown: as a crash, without a farewell to its clients.
  process.kill(await postmasterPid(), "SIGQUIT");
  const statuses = new Set<number>();
  let answered = 0;
  for (const end = Date.now() + 20_000; answered < 5 && Date.now() < end; await sleep(25)) {
    const reply = await request();
    statuses.add(reply.statusCode);
    if (reply.statusCode === 503) {
      answered = 0;
      expect(reply.headers["retry-after"], reply.body).toBeDefined();
      expect(JSON.parse(reply.body)).not.toHaveProperty("stack");
    } else if (statuses.has(503)) answered += 1;
  }
  expect([...statuses].sort()).toEqual([200, 503]);
  expect(answered).toBe(5);

  // What is cached while announcements can't be heard is not believed for long: listening is back.
  await app.tenants.suspend(member.tenant.id);
  expect((await request()).statusCode).toBe(403);
});
