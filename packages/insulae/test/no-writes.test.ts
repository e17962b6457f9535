/** A main database that is read, and takes no writes: a standby after a failover, a full disk. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp, type TestApp } from "../src/testing/test-app.ts";

let app: TestApp;
let members: TestMember[];
let admin: pg.Client;

beforeAll(async () => {
  app = await createTestApp({ config: { jobsConcurrency: 0 } });
  members = [await createMember(app, "pool"), await createMember(app, "schema")];
  admin = new pg.Client(app.config.databaseUrl);
  await admin.connect();
}, 60_000);
afterAll(async () => {
  await admin?.end();
  await app?.close();
});

const ready = async () => {
  const reply = await app.inject("/health/ready");
  return { status: reply.statusCode, body: reply.json() };
};
const setReadOnly = async (value: "on" | "off") => {
  const database = pg.escapeIdentifier(admin.database ?? "");
  // It holds for new connections.
  await admin.query(`set default_transaction_read_only = off;
    alter database ${database} set default_transaction_read_only = ${value};
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`);
  await expect
    .poll(async () => (await ready()).body.dependencies.writes?.status, { timeout: 20_000 })
    .toBe(value === "on" ? "down" : "up");
};
const write = (member: TestMember) =>
  app.inject({
    method: "POST",
    url: "/api/v1/contacts",
    headers: { authorization: `Bearer ${member.token}` },
    payload: { name: "Ada" },
  });
const unavailable = expect.objectContaining({ code: "database_unavailable", status: 503 });

test("one that is read-only answers reads, and writes with 503 and when to come again", async () => {
  await setReadOnly("on");
  for (const member of members) {
    expect((await member.call("GET", "/contacts")).status).toBe(200);
    const reply = await write(member);
    expect(reply.json()).toEqual(unavailable);
    expect(reply.headers).toHaveProperty("retry-after");
  }
  const made = app.tenants.create({ key: "late", name: "Late", isolation: "schema" });
  await expect(made).rejects.toMatchObject({ code: "database_unavailable" });
  expect(await ready()).toMatchObject({
    status: 200,
    body: { status: "degraded", dependencies: { database: { status: "up" } } },
  });
  await setReadOnly("off");
  for (const member of members) expect((await write(member)).statusCode).toBe(201);
  // Announcements are heard again on a new connection.
  await expect.poll(async () => (await ready()).body.status, { timeout: 20_000 }).toBe("ready");
}, 60_000);

test("one whose disk is full is 503 too", async () => {
  await admin.query(`
    create function public.full_disk() returns trigger language plpgsql as
    $$ begin raise 'could not extend file' using errcode = '53100'; end $$;
    create trigger full_disk before insert on data.contacts execute function public.full_disk()`);
  const [member] = members;
  if (!member) return;
  const reply = await write(member);
  expect(reply.json()).toEqual(unavailable);
  expect(reply.headers).toHaveProperty("retry-after");
});
