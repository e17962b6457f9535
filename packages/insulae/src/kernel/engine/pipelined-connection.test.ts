import { afterAll, beforeAll, expect, test } from "vitest";
import type { BatchRequest, StatementResult } from "./batch.ts";
import type { Broker, Lease } from "./broker.ts";
import { createEngine, type Engine, scopeOf, tenantA } from "./engine-fixture.ts";
import { isByDeletion } from "./errors.ts";

let engine: Engine;
let broker: Broker;

beforeAll(async () => {
  engine = await createEngine();
  broker = engine.broker();
});
afterAll(() => engine.close());

/** Sends it past the checks of the lanes. */
const send = ({ session }: Lease, text: string, request: Partial<BatchRequest> = {}) =>
  new Promise<StatementResult>((resolve, reject) => {
    session.submit(
      {
        text,
        values: [],
        scope: scopeOf(tenantA),
        schema: "data",
        rows: "objects",
        readOnly: false,
        ...request,
      },
      (error, result) => (result === undefined ? reject(error) : resolve(result)),
    );
  });

test("a connection whose transaction was left open is destroyed, and nothing behind it counts", async () => {
  const lease = await broker.lease(engine.target);
  const outcomes = await Promise.allSettled([
    send(lease, "begin"),
    // Executed by the server, in a transaction that nobody will commit.
    send(lease, "insert into notes (id, text) values (1, 'lost')"),
  ]);
  expect(outcomes).toMatchObject([
    { reason: { name: "ConnectionLost", sent: true } },
    { reason: { name: "ConnectionLost", sent: true } },
  ]);
  expect(lease.session.lost).toMatchObject({ message: "a statement left its transaction open" });
  lease.release();
  expect(await engine.admin("select * from data.notes")).toEqual([]);
});

test("a connection that speaks COPY is destroyed before its answers can slip", async () => {
  await engine.admin("create table data.plain (n int); grant all on data.plain to public");
  for (const text of ["copy plain to stdout", "copy plain from stdin"]) {
    await engine.admin("insert into data.plain values (1)");
    const lease = await broker.lease(engine.target);
    const outcomes = await Promise.allSettled([
      send(lease, text),
      send(lease, "select 1"),
      send(lease, "select 2"),
    ]);
    for (const each of outcomes) expect(each).toMatchObject({ reason: { name: "ConnectionLost" } });
    lease.release();
  }
});

test("a connection is not idle between an error and the end of its answer", async () => {
  const lease = await broker.lease(engine.target);
  const atError = new Promise<boolean>((resolve) => {
    lease.client.query("begin; select 1/0", () => resolve(lease.session.isIdle));
  });
  expect(await atError).toBe(false);
  lease.destroy();
});

test("a statement whose values cannot be sent leaves the others and the connection alone", async () => {
  const lease = await broker.lease(engine.target);
  const tooMany = new Array(65_536).fill(1);
  const outcomes = await Promise.allSettled([
    send(lease, "select 1 as n"),
    send(lease, "select 2 as n", { values: tooMany }),
    send(lease, "select 3 as n"),
    send(lease, "select 2 as n"),
  ]);
  expect(outcomes).toMatchObject([
    { value: { rows: [{ n: 1 }] } },
    { reason: { name: "RangeError" } },
    { value: { rows: [{ n: 3 }] } },
    { value: { rows: [{ n: 2 }] } },
  ]);
  expect(lease.session.isIdle).toBe(true);
  lease.release();
});

test("what has not left this process when the connection goes is known not to have been sent", async () => {
  const lease = await broker.lease(engine.target);
  const sent = send(lease, "select pg_sleep(1)").catch((error: unknown) => error);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  const unsent = send(lease, "select 1").catch((error: unknown) => error);
  lease.destroy(new Error("gone"));
  expect(await sent).toMatchObject({ name: "ConnectionLost", sent: true });
  expect(await unsent).toMatchObject({ name: "ConnectionLost", sent: false });
  await expect(send(lease, "select 1")).rejects.toMatchObject({
    name: "ConnectionLost",
    sent: false,
  });
});

test("the schema is part of the scope, and of the statement's name", async () => {
  await engine.admin(`create schema t_1; create table t_1.notes as select 'in t_1' as text;
    do $$ begin create role insulae_engine_schema; exception when duplicate_object then null; end $$;
    grant insulae_engine_schema to insulae_engine_test;
    grant usage on schema t_1, app to insulae_engine_schema; grant select on t_1.notes to public`);
  const lease = await broker.lease(engine.target);
  const text = "select text from notes";
  const scope = { ...scopeOf(tenantA, "t_1"), role: "insulae_engine_schema" };
  for (let round = 0; round < 3; round += 1) {
    const inSchema = send(lease, text, { scope, schema: "t_1" });
    const inPool = send(lease, text);
    expect((await inSchema).rows).toEqual([{ text: "in t_1" }]);
    expect((await inPool).rows).toEqual([]);
  }
  const { rows } = await lease.client.query(
    "select current_setting('search_path') as path, current_user as role",
  );
  expect(rows).toEqual([{ path: "data", role: "insulae_engine_test" }]);
  lease.release();
});

test("a scope's role that isn't there is that statement's error, and the connection stays", async () => {
  const lease = await broker.lease(engine.target);
  const scope = { ...scopeOf(tenantA, "t_1"), role: "insulae_nobody" };
  const refused = [1, 2].map(() =>
    send(lease, "select 1", { scope, schema: "t_1" }).catch((error: unknown) => error),
  );
  const others = send(lease, "select 1 as n");
  expect(await Promise.all(refused)).toMatchObject([{ code: "22023" }, { code: "22023" }]);
  expect((await others).rows).toEqual([{ n: 1 }]);
  lease.release();
});

test("the server refuses what writes where it was told that the statement reads", async () => {
  const lease = await broker.lease(engine.target);
  const write = "insert into notes (id, text) values (1, 'read only?') returning id";
  await expect(send(lease, write, { readOnly: true })).rejects.toMatchObject({ code: "25006" });
  expect((await send(lease, write)).rows).toEqual([{ id: 1 }]);
  lease.release();
});

test("a connection's client and its session take turns", async () => {
  const lease = await broker.lease(engine.target);
  const asked = lease.client.query("select pg_sleep(0.05), 1 as n");
  await expect(send(lease, "select 2 as n")).rejects.toThrow("awaits an answer");
  expect((await asked).rows).toMatchObject([{ n: 1 }]);
  await lease.client.query("begin");
  expect(lease.session.isIdle).toBe(false);
  await lease.client.query("rollback");
  expect((await send(lease, "select 3 as n")).rows).toEqual([{ n: 3 }]);
  // What is behind a statement of the session's is answered behind it.
  const first = send(lease, "select 4 as n");
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  const second = lease.client.query("select 5 as n");
  expect((await first).rows).toEqual([{ n: 4 }]);
  expect((await second).rows).toEqual([{ n: 5 }]);
  expect(lease.session.isIdle).toBe(true);
  lease.release();
});

test("notices, new settings and notifications do not disturb an answer", async () => {
  const lease = await broker.lease(engine.target);
  const heard: unknown[] = [];
  lease.client.on("notification", ({ payload }) => heard.push(payload));
  await lease.client.query("listen here");
  const noisy = `do $$ begin
    raise notice 'a notice'; set application_name = 'renamed'; perform pg_notify('here', 'told');
  end $$`;
  const answers = await Promise.all([send(lease, noisy), send(lease, "select 1 as n")]);
  expect(answers).toMatchObject([{ command: "DO" }, { rows: [{ n: 1 }] }]);
  await expect.poll(() => heard).toEqual(["told"]);
  lease.destroy();
});

test("an error of a foreign key says whether a deletion violated it", async () => {
  await engine.admin(`create table data.parents (id int primary key);
    create table data.children (id int references data.parents);
    grant all on data.parents, data.children to insulae_engine_test;
    insert into data.parents values (1); insert into data.children values (1)`);
  const lease = await broker.lease(engine.target);
  const errorOf = (text: string) => send(lease, text).catch((error: unknown) => error);
  expect(isByDeletion(await errorOf("delete from parents"))).toBe(true);
  expect(isByDeletion(await errorOf("insert into children values (9)"))).toBe(false);
  lease.release();
});

test("a scope in a schema without a role is refused before anything is sent", async () => {
  const lease = await broker.lease(engine.target);
  await expect(
    send(lease, "select 1", { scope: scopeOf(tenantA, "t_1"), schema: "t_1" }),
  ).rejects.toThrow("needs its role");
  lease.release();
});
