import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { shortestRun } from "../../testing/processor-time.ts";
import { until } from "../../testing/until.ts";
import type { Broker } from "../engine/broker.ts";
import {
  createEngine,
  databaseOf,
  type Engine,
  type NoteTables,
  tenantA,
  tenantB,
} from "../engine/engine-fixture.ts";
import type { Lanes } from "../engine/lanes.ts";
import { createControlDatabase, type TenantDatabase } from "./tenant-database.ts";

let engine: Engine;
let broker: Broker;
let lanes: Lanes;
let a: TenantDatabase<NoteTables>;
let b: TenantDatabase<NoteTables>;

beforeAll(async () => {
  engine = await createEngine();
  broker = engine.broker({ acquireTimeoutMs: 1_000 });
  lanes = engine.lanes(broker);
  a = databaseOf(engine, lanes, broker, tenantA);
  b = databaseOf(engine, lanes, broker, tenantB);
});
beforeEach(() => engine.admin("truncate data.notes"));
afterAll(() => engine.close());

const idsOf = async (db: TenantDatabase<NoteTables>) =>
  (await db.selectFrom("notes").select("id").orderBy("id").execute()).map(({ id }) => id);
const note = (id: number) => ({ id, text: `note ${id}` });
const add = (db: TenantDatabase<NoteTables>, id: number) =>
  db
    .insertInto("notes")
    .values({ ...note(id), tenant_id: sql`default` })
    .executeTakeFirst();

test("Kysely's statements run in the scope, and return the number of changed rows", async () => {
  expect((await add(a, 1)).numInsertedOrUpdatedRows).toBe(1n);
  await add(b, 2);
  expect(await idsOf(a)).toEqual([1]);
  const updated = await a.updateTable("notes").set({ text: "new" }).executeTakeFirst();
  expect(updated.numUpdatedRows).toBe(1n);
  const deleted = await a.deleteFrom("notes").where("id", "=", 2).executeTakeFirst();
  expect(deleted.numDeletedRows).toBe(0n);
  expect(await idsOf(b)).toEqual([2]);
});

test("SQL runs in the scope, as text and as a template", async () => {
  await add(a, 1);
  expect(await a.query("select text from notes where id = $1", [1])).toEqual([{ text: "note 1" }]);
  expect(await a.sql`select text from notes where id = ${1} or text = ${"'; drop"}`).toEqual([
    { text: "note 1" },
  ]);
  expect(await b.query("select * from notes")).toEqual([]);
});

test("another tenant's id cannot be written", async () => {
  await expect(
    a
      .insertInto("notes")
      .values({ ...note(1), tenant_id: tenantB })
      .execute(),
  ).rejects.toMatchObject({ code: "42501" });
});

test("a transaction commits its work, in its scope", async () => {
  const seen = await a.transaction().execute(async (tx) => {
    await tx
      .insertInto("notes")
      .values({ ...note(1), tenant_id: tenantA })
      .execute();
    await tx
      .insertInto("notes")
      .values({ ...note(2), tenant_id: tenantA })
      .execute();
    return tx.selectFrom("notes").selectAll().execute();
  });
  expect(seen).toHaveLength(2);
  expect(await idsOf(a)).toEqual([1, 2]);
  expect(await idsOf(b)).toEqual([]);
});

test("the first statement of a transaction takes BEGIN and the scope with it", async () => {
  const [row] = await a
    .transaction()
    .setIsolationLevel("serializable")
    .setAccessMode("read only")
    .execute((tx) =>
      sql<{ tenant: string; level: string; access: string; started: boolean }>`
      select current_setting('app.current_tenant_id') as tenant,
        current_setting('transaction_isolation') as level,
        current_setting('transaction_read_only') as access`
        .execute(tx)
        .then(({ rows }) => rows),
    );
  expect(row).toEqual({ tenant: tenantA, level: "serializable", access: "on" });
});

test("a transaction is rolled back when its handler throws, and its connection returned", async () => {
  await expect(
    a.transaction().execute(async (tx) => {
      await tx
        .insertInto("notes")
        .values({ ...note(1), tenant_id: tenantA })
        .execute();
      throw new Error("no");
    }),
  ).rejects.toThrow("no");
  expect(await idsOf(a)).toEqual([]);
  expect(broker.stats().leased).toBeLessThanOrEqual(lanes.stats().read + lanes.stats().write);
});

test.each(["for update nowait", "for update"])(
  "a row locked too long by another transaction: %s, is an error to retry",
  async (lock) => {
    await add(a, 1);
    const holder = await broker.lease(engine.target);
    try {
      await holder.client.query("begin");
      await holder.client.query(`set local app.current_tenant_id = '${tenantA}'`);
      await holder.client.query("select * from notes for update");
      const waiting = a.transaction().execute(async (tx) => {
        await sql`set local lock_timeout = 20`.execute(tx);
        await sql`select * from notes ${sql.raw(lock)}`.execute(tx);
      });
      await expect(waiting).rejects.toMatchObject({
        status: 503,
        code: "statement_timeout",
        headers: { "Retry-After": "1" },
        cause: { code: "55P03" },
      });
    } finally {
      holder.destroy();
    }
  },
);

test("a transaction's scope does not remain on its connection", async () => {
  for (const fails of [false, true]) {
    await a
      .transaction()
      .execute(async (tx) => {
        await sql`select 1`.execute(tx);
        if (fails) await sql`select 1/0`.execute(tx);
      })
      .catch(() => {});
    const lease = await broker.lease(engine.target);
    const { rows } = await lease.client.query(
      "select current_setting('app.current_tenant_id', true) as tenant, count(*)::int as n from notes",
    );
    expect(rows).toEqual([{ tenant: "", n: 0 }]);
    lease.release();
  }
});

test("a transaction whose statement a migration invalidated is refused with a retry, which works", async () => {
  await engine.admin(
    "create table data.widening (n int); grant select on data.widening to public; insert into data.widening values (1)",
  );
  const read = () =>
    a.transaction().execute(async (tx) => (await sql`select * from widening`.execute(tx)).rows);
  const connections = Array.from({ length: 4 });
  await Promise.all(connections.map(read));
  await engine.admin("alter table data.widening add m int default 2");
  const answers = await Promise.allSettled(connections.map(read));
  for (const answer of answers) {
    if (answer.status === "fulfilled") expect(answer.value).toEqual([{ n: 1, m: 2 }]);
    else {
      expect(answer.reason).toMatchObject({
        status: 503,
        code: "database_unavailable",
        headers: { "Retry-After": "1" },
        cause: { code: "0A000" },
      });
    }
  }
  expect(answers.map(({ status }) => status)).toContain("rejected");
  await expect.poll(read).toEqual([{ n: 1, m: 2 }]);
});

test("a failed transaction whose error was ignored does not commit", async () => {
  await expect(
    a.transaction().execute(async (tx) => {
      await tx
        .insertInto("notes")
        .values({ ...note(1), tenant_id: tenantA })
        .execute();
      await sql`select 1/0`.execute(tx).catch(() => {});
    }),
  ).rejects.toThrow("rolled back");
  expect(await idsOf(a)).toEqual([]);
});

test("a transaction without a statement does nothing", async () => {
  expect(await a.transaction().execute(async () => 7)).toBe(7);
});

test("savepoints and controlled transactions work", async () => {
  const tx = await a.startTransaction().execute();
  await tx
    .insertInto("notes")
    .values({ ...note(1), tenant_id: tenantA })
    .execute();
  const saved = await tx.savepoint("before").execute();
  await saved
    .insertInto("notes")
    .values({ ...note(2), tenant_id: tenantA })
    .execute();
  await saved.rollbackToSavepoint("before").execute();
  await tx.commit().execute();
  expect(await idsOf(a)).toEqual([1]);
});

test.each([
  "commit",
  "rollback",
  "set local app.current_tenant_id = 'x'",
  "select set_config('a', 'b', true)",
])("%s is refused in a transaction", async (text) => {
  await expect(a.transaction().execute((tx) => sql.raw(text).execute(tx))).rejects.toMatchObject({
    name: "StatementRefused",
  });
});

test("unsupported operations say what to do instead", async () => {
  await expect(
    a.connection().execute(async (db) => db.selectFrom("notes").selectAll().execute()),
  ).rejects.toThrow("use db.transaction()");
  await expect(a.selectFrom("notes").selectAll().stream().next()).rejects.toThrow("pages");
  await a.transaction().execute(async (tx) => {
    expect(() => tx.transaction()).toThrow("not supported");
  });
});

test("a commit whose response is lost is reported as unknown, an earlier loss as not done", async () => {
  let killing: Promise<unknown> | undefined;
  const killed = (during: "work" | "commit") =>
    a.transaction().execute(async (tx) => {
      await tx
        .insertInto("notes")
        .values({ ...note(1), tenant_id: tenantA })
        .execute();
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
      /** As soon as it sleeps: in a statement, or in a trigger at commit. */
      const kill = () =>
        until("it has been killed while it sleeps", async () => {
          const killed = await engine.admin(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where pid = $1 and wait_event = 'PgSleep'`,
            [rows[0]?.pid],
          );
          return killed.length;
        });
      if (during === "work") {
        killing = kill();
        await sql`select pg_sleep(30)`.execute(tx);
      } else {
        await sql`set constraints all deferred`.execute(tx);
        killing = kill();
      }
    });
  await engine.admin(`
    create or replace function data.slow_commit() returns trigger language plpgsql
      as $$ begin perform pg_sleep(30); return null; end $$;
    create or replace function data.nothing() returns void language sql as '';`);
  await expect(killed("work")).rejects.toMatchObject({ code: "database_unavailable", status: 503 });
  await killing;
  await engine.admin(`create constraint trigger slow after insert on data.notes
    deferrable initially deferred for each row execute function data.slow_commit()`);
  await expect(killed("commit")).rejects.toMatchObject({
    code: "write_outcome_unknown",
    status: 503,
  });
  await killing;
  await engine.admin("drop trigger slow on data.notes");
  expect(await idsOf(a)).toEqual([]);
});

test("the server ends a transaction whose handler hangs, and its connection is free", async () => {
  const before = broker.stats().leased;
  const [begun, freed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const hanging = a.transaction().execute(async (tx) => {
    await sql`set local idle_in_transaction_session_timeout = 100`.execute(tx);
    begun.resolve();
    await freed.promise;
    await sql`select 1`.execute(tx);
  });
  const outcome = expect(hanging).rejects.toMatchObject({ code: "database_unavailable" });
  await begun.promise;
  expect(broker.stats().leased).toBe(before + 1);
  await expect.poll(() => broker.stats().leased).toBe(before);
  freed.resolve();
  await outcome;
});

test("one tenant's transactions leave connections for others", async () => {
  const release = Promise.withResolvers<void>();
  let [begun, refused] = [0, 0];
  const held = Array.from({ length: 8 }, () =>
    a
      .transaction()
      .execute(async (tx) => {
        await sql`select 1`.execute(tx);
        begun += 1;
        await release.promise;
      })
      .catch(() => {
        refused += 1;
      }),
  );
  // It has all that it can get.
  await expect.poll(() => begun + broker.waiting() + refused).toBe(8);
  await b.transaction().execute((tx) => sql`select 1`.execute(tx));
  expect(await idsOf(b)).toEqual([]);
  release.resolve();
  await Promise.all(held);
});

test("a control database has no scope and its own role", async () => {
  const control = createControlDatabase({
    lanes,
    broker,
    target: { ...engine.target, role: "control" },
  });
  const { rows } =
    await sql`select current_setting('app.current_tenant_id', true) as tenant`.execute(control);
  expect(rows).toEqual([{ tenant: null }]);
});

test("a database object takes microseconds to create", () => {
  const makeMany = () => {
    for (let n = 0; n < 10_000; n += 1) databaseOf(engine, lanes, broker, tenantA);
  };
  expect(shortestRun(makeMany) / 10_000).toBeLessThan(0.02);
});
