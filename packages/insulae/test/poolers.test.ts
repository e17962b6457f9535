/** A server behind PgBouncer: as docs/poolers.md says, and in all the ways that can't work. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createApp } from "../src/app/app.ts";
import type { App } from "../src/app/app-api.ts";
import type { Config } from "../src/config/config.ts";
import type { Embedded } from "../src/embedded-postgres/supervisor.ts";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import {
  describeWithOldPgBouncer,
  describeWithPgBouncer,
  type PgBouncerOptions,
  prepareForPgBouncer,
  startPgBouncer,
} from "../src/testing/test-pgbouncer.ts";
import { testMasterSecret } from "../src/testing/test-secret.ts";
import { startSecondServer, startTestServer } from "../src/testing/test-server.ts";

// A server of its own: the settings of its roles are changed here.
let folder: string;
let server: Embedded;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "insulae-poolers-"));
  server = await startTestServer(folder);
  await prepareForPgBouncer(server.url);
});
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

async function open(urls: Pick<Config, "databaseUrl"> & Partial<Config>): Promise<App> {
  const free = { global: 1e9, plans: { free: 1e9 }, account: 1e9, anonymous: 1e9 };
  const app = await createApp({
    env: {},
    config: {
      ...{ env: "test", dataDir: folder, masterSecret: testMasterSecret, logLevel: "silent" },
      ...{ databaseConnections: 12, argon2: { memoryKib: 64, passes: 1 } },
      rateLimits: { ...free, credentials: 1e9 },
      ...urls,
    },
  });
  onTestFinished(() => app.close());
  return app;
}

async function pooler(settings: PgBouncerOptions["settings"] = {}, others: PgBouncerOptions = {}) {
  const { url, stop } = await startPgBouncer(server.url, { settings, ...others });
  onTestFinished(stop);
  return { databaseUrl: url, databaseDirectUrl: server.url };
}

const namesOn = async (node: App, { token }: TestMember) => {
  const headers = { authorization: `Bearer ${token}` };
  const reply = await node.inject({ url: "/api/v1/contacts?limit=100", headers });
  if (reply.statusCode !== 200) return reply.statusCode;
  return (reply.json().items as { name: string }[]).map(({ name }) => name).sort();
};

/** Tenants in all isolations work on two nodes at once, each with rows of its own. */
async function expectWorking(one: App, other: App): Promise<void> {
  const members = [];
  for (const isolation of ["pool", "schema", "database", "pool"] as const) {
    members.push(await createMember(one, isolation));
  }
  const names = (member: TestMember) =>
    Array.from({ length: 10 }, (_, i) => `${member.userId} ${i}`);
  await Promise.all(
    members.flatMap((member) =>
      names(member).map(async (name) => {
        const made = await member.call("POST", "/contacts", { name });
        expect(made.status, made.text).toBe(201);
      }),
    ),
  );
  for (let round = 0; round < 5; round += 1) {
    const asked = [...members, ...members].map((member, i) => namesOn(i % 3 ? one : other, member));
    const expected = [...members, ...members].map((member) => names(member).sort());
    expect(await Promise.all(asked)).toEqual(expected);
  }
  const [leaver] = members;
  if (!leaver) return;
  expect((await leaver.call("POST", "/auth/logout")).status).toBeLessThan(300);
  await expect.poll(() => namesOn(other, leaver)).toBe(401);
}

describeWithPgBouncer("behind PgBouncer", () => {
  test("in transaction mode, set up as documented, two nodes share fewer connections than they open", {
    timeout: 120_000,
  }, async () => {
    const urls = await pooler({ default_pool_size: 3 });
    await expectWorking(await open(urls), await open(urls));
  });

  test("in session mode, two nodes work", { timeout: 120_000 }, async () => {
    const urls = await pooler({ pool_mode: "session", default_pool_size: 30 });
    await expectWorking(await open(urls), await open(urls));
  });

  test("a migration that adds a column is noticed by nobody, time and again", {
    timeout: 120_000,
  }, async () => {
    const urls = await pooler({ default_pool_size: 3 });
    const app = await open(urls);
    const member = await createMember(app, "pool");
    await inDatabase(`create table data.widening (n int); insert into data.widening values (1);
      grant select, update on data.widening to public`);
    onTestFinished(async () => void (await inDatabase("drop table data.widening")));
    const read = (): Promise<unknown> =>
      app.withTenant(member.tenant, ({ db }) => db.query("select * from widening"));
    const write = (): Promise<unknown> =>
      app.withTenant(member.tenant, ({ db }) => db.query("update widening set n = 1 returning *"));
    const inTransaction = () =>
      app.withTenant(member.tenant, ({ db }) =>
        db.transaction().execute(async (tx) => {
          return (await sql<object>`select * from widening where n > 0`.execute(tx)).rows;
        }),
      );
    const ask = () => Promise.all(Array.from({ length: 12 }, (_, i) => (i % 3 ? read() : write())));
    await ask();
    await inTransaction();
    for (const column of ["a", "b", "c", "d"]) {
      await inDatabase(`alter table data.widening add ${column} int default 2`);
      for (const answer of await ask()) expect(answer).toMatchObject([{ n: 1 }]);
      await expect.poll(() => inTransaction().catch(String)).toMatchObject([{ n: 1 }]);
    }
  });

  test("a migration that drops a column gives no column another's values", async () => {
    const urls = await pooler({ default_pool_size: 1 });
    const app = await open(urls);
    const member = await createMember(app, "pool");
    await inDatabase(`create table data.narrowing (a int, b int, c int);
      insert into data.narrowing values (1, 2, 3); grant select, update on data.narrowing to public`);
    onTestFinished(async () => void (await inDatabase("drop table data.narrowing")));
    const run = (text: string): Promise<unknown> =>
      app.withTenant(member.tenant, ({ db }) => db.query(text));
    const write = "update narrowing set a = 1 returning *";
    expect(await run("select * from narrowing")).toEqual([{ a: 1, b: 2, c: 3 }]);
    expect(await run(write)).toEqual([{ a: 1, b: 2, c: 3 }]);
    await inDatabase("alter table data.narrowing drop b");
    // PgBouncer prepares them anew, on a new connection, and describes them to nobody.
    await inDatabase(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'insulae_app'",
    );
    await expect(run(write)).rejects.toMatchObject({ code: "write_outcome_unknown" });
    expect(await run("select * from narrowing")).toEqual([{ a: 1, c: 3 }]);
    expect(await run(write)).toEqual([{ a: 1, c: 3 }]);
  });

  test("a further server is added by two URLs", async () => {
    const app = await open(await pooler());
    const second = await startSecondServer();
    onTestFinished(() => second.stop());
    await prepareForPgBouncer(second.url);
    const { url, stop } = await startPgBouncer(second.url);
    onTestFinished(stop);
    await app.servers.add({ name: "second", url, directUrl: second.url, weight: 1_000 });
    await app.servers.update("main", { accepting: false });
    onTestFinished(() => void inDatabase("update control.servers set accepting = true"));
    const member = await createMember(app, "schema");
    expect(member.tenant.placement.serverId).toBe((await app.servers.get("second")).id);
    expect(await namesOn(app, member)).toEqual([]);
    await app.tenants.delete(member.tenant.id);
    await app.servers.remove("second", { lost: true });
  });

  test("another time limit takes a migration, and a server that runs goes on", async () => {
    const urls = await pooler();
    const running = await open(urls);
    const member = await createMember(running, "database");
    const changed = { ...urls, statementTimeoutMs: 9_000 };
    await expect(open({ ...changed, migrateOnStart: false })).rejects.toThrow(
      /statement_timeout is 10000 instead of 9000.*insulae migrate up/,
    );
    const again = { ...changed, ...(await pooler()) };
    await open(again);
    expect(await namesOn(running, member)).toEqual([]);
    expect(await settingOf(member.tenant.placement.database)).toContain("statement_timeout=9000");
    await open(await pooler());
  });

  test("one that doesn't know the logins keeps a server from starting", async () => {
    const urls = await pooler({ auth_user: undefined, auth_query: undefined });
    await expect(open(urls)).rejects.toThrow(
      /insulae_app can't connect by DATABASE_URL.*auth_query/,
    );
  });

  test.each([
    ["transaction", { max_prepared_statements: 0 }, "knows no prepared statements"],
    ["statement", { pool_mode: "statement" }, "allows no transactions"],
  ])(
    "in %s mode without what it takes, a server refuses to start",
    async (_, settings, sentence) => {
      await expect(open(await pooler(settings))).rejects.toThrow(sentence);
    },
  );

  test.each([
    [undefined, /refuses the settings of a connection.*set DATABASE_DIRECT_URL/],
    ["options", /lacks its settings: .*search_path.*set DATABASE_DIRECT_URL/],
  ])(
    "without DATABASE_DIRECT_URL a server refuses to start (ignore_startup_parameters = %s)",
    async (ignored, sentence) => {
      const settings = { ignore_startup_parameters: ignored };
      const { databaseUrl } = await pooler(settings, { knowsAll: true });
      const login = new URL(server.url);
      const url = databaseUrl.replace("//", `//${login.username}:${login.password}@`);
      await expect(open({ databaseUrl: url })).rejects.toThrow(sentence);
    },
  );
});

describeWithOldPgBouncer("behind a PgBouncer of before 1.21", () => {
  const asOld = { isOld: true, knowsAll: true };
  const settings = { max_prepared_statements: undefined };

  test("in transaction mode a server refuses to start", async () => {
    await open({ databaseUrl: server.url }); // Makes the logins.
    const urls = await pooler(settings, asOld);
    await expect(open(urls)).rejects.toThrow("use version 1.21 or later");
  });

  test("in session mode it works", async () => {
    await open({ databaseUrl: server.url });
    const inSession = { ...settings, pool_mode: "session", default_pool_size: 30 };
    const urls = await pooler(inSession, asOld);
    const app = await open(urls);
    expect(await namesOn(app, await createMember(app, "schema"))).toEqual([]);
  });
});

async function inDatabase(sql: string): Promise<{ text: string }[]> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  const { rows } = await client.query<{ text: string }>(sql);
  await client.end();
  return rows;
}

const settingOf = async (role: string): Promise<string | undefined> =>
  (
    await inDatabase(
      `select array_to_string(setconfig, ' ') as text from pg_db_role_setting
       where setrole = '${role}'::regrole`,
    )
  )[0]?.text;
