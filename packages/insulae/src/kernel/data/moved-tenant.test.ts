/**
 * What statements and transactions do where the fence of a move refuses them: from `data` the tenant
 * moves to `elsewhere`, with the fence as migrations make it.
 */
import { readFileSync } from "node:fs";
import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { until } from "../../testing/until.ts";
import {
  createEngine,
  type Engine,
  type NoteTables,
  scopeOf,
  tenantA,
} from "../engine/engine-fixture.ts";
import { createTenantDatabase, type TenantDatabase } from "./tenant-database.ts";

let engine: Engine;
let db: TenantDatabase<NoteTables>;
/** What the control plane says, and what this process believes. */
let truth = "data";
let believed = "data";
let isMoving = false;
let asked = 0;

beforeAll(async () => {
  engine = await createEngine();
  const file = new URL("../../../migrations/app/0014_moves.sql", import.meta.url);
  const [up] = readFileSync(file, "utf8").split("\n-- down\n");
  await engine.admin("create table app.definer_functions (signature text, reason text)");
  await engine.admin(up ?? "");
  await engine.admin(`
    create schema elsewhere;
    create table elsewhere.notes (like data.notes including all);
    grant usage on schema elsewhere to public;
    grant select, insert, update, delete on elsewhere.notes to public;
    create trigger guard before insert or update or delete on data.notes
      for each statement execute function app.move_guard();`);
  const placeIn = (schema: string) => ({
    target: engine.target,
    scope: { ...scopeOf(tenantA, schema), role: "insulae_engine_test" },
    isMoving,
  });
  const broker = engine.broker();
  db = createTenantDatabase<NoteTables>({
    lanes: engine.lanes(broker),
    broker,
    where: {
      known: () => placeIn(believed),
      find: async () => placeIn(believed),
      findAnew: async () => {
        asked += 1;
        believed = truth;
        return placeIn(believed);
      },
    },
  });
});
beforeEach(async () => {
  await engine.admin("delete from app.moves; truncate data.notes; truncate elsewhere.notes");
  await set("open");
  [truth, believed, isMoving, asked] = ["data", "data", false, 0];
});
afterAll(() => engine.close());

const set = (state: "open" | "closed") =>
  engine.admin(
    `insert into app.moves (tenant_id, schema, move_id, epoch, state)
     values ($1, 'data', gen_random_uuid(), 1, $2)
     on conflict (tenant_id, schema) do update set state = excluded.state`,
    [tenantA, state],
  );
const move = async () => {
  await set("closed");
  truth = "elsewhere";
};
const add = (to: Pick<typeof db, "insertInto">, id: number) =>
  to
    .insertInto("notes")
    .values({ id, text: "a note", tenant_id: sql`app.current_tenant_id()` })
    .execute();
const idsIn = async (schema: string) =>
  (await engine.admin<{ id: number }>(`select id from ${schema}.notes order by id`)).map(
    ({ id }) => id,
  );

/** Shuts the tenant's writers out, as the cut-over does. */
async function shutOut() {
  const client = new pg.Client({ connectionString: engine.url });
  await client.connect();
  const key = `insulae move ${tenantA}/data`;
  await client.query("select pg_advisory_lock(hashtextextended($1, 0))", [key]);
  return {
    /** Resolves when so many wait. */
    waiting: (n: number) =>
      until(
        () => `${n} waiting`,
        async () => {
          const [found] = await engine.admin<{ n: number }>(
            "select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted",
          );
          return found?.n === n;
        },
      ),
    end: () => client.end(),
  };
}

test("a statement that the fence refuses is run once, where the tenant is now", async () => {
  await add(db, 1);
  await move();
  await add(db, 2);
  expect(await idsIn("data")).toEqual([1]);
  expect(await idsIn("elsewhere")).toEqual([2]);
  expect(asked).toBe(1);
});

test("a statement that waited for the cut-over goes to the new place", async () => {
  const cutOver = await shutOut();
  const added = add(db, 1);
  await cutOver.waiting(1);
  await move();
  await cutOver.end();
  await added;
  expect(await idsIn("elsewhere")).toEqual([1]);
});

test("reads wait for no cut-over", async () => {
  const cutOver = await shutOut();
  expect(await db.selectFrom("notes").selectAll().execute()).toEqual([]);
  await cutOver.end();
});

test("a transaction whose first statement is refused begins anew where the tenant is now", async () => {
  await move();
  await db.transaction().execute(async (tx) => {
    await add(tx, 1);
    await add(tx, 2);
  });
  expect(await idsIn("elsewhere")).toEqual([1, 2]);
});

test("a transaction that has read before it is refused fails with 503, and has written nothing", async () => {
  await move();
  const transaction = db.transaction().execute(async (tx) => {
    await tx.selectFrom("notes").selectAll().execute();
    await add(tx, 1);
  });
  await expect(transaction).rejects.toMatchObject({ code: "tenant_moved", status: 503 });
  expect(await idsIn("elsewhere")).toEqual([]);
});

test.each(["read committed", "repeatable read", "serializable"] as const)(
  "while the tenant is being moved, a transaction (%s) waits for the cut-over before it reads",
  async (level) => {
    isMoving = true;
    const cutOver = await shutOut();
    const transaction = db
      .transaction()
      .setIsolationLevel(level)
      .execute(async (tx) => {
        const before = await tx.selectFrom("notes").select("id").execute();
        await add(tx, before.length + 10);
      });
    await cutOver.waiting(1);
    await engine.admin(
      "insert into elsewhere.notes (tenant_id, id, text) values ($1, 1, 'moved here')",
      [tenantA],
    );
    await move();
    await cutOver.end();
    await transaction;
    expect(await idsIn("elsewhere")).toEqual([1, 11]);
  },
);

test("while the tenant is being moved, the cut-over waits for a transaction that has begun", async () => {
  isMoving = true;
  await db.transaction().execute(async (tx) => {
    await tx.selectFrom("notes").selectAll().execute();
    const [lock] = await engine.admin<{ free: boolean }>(
      "select pg_try_advisory_lock(hashtextextended($1, 0)) as free",
      [`insulae move ${tenantA}/data`],
    );
    expect(lock?.free).toBe(false);
    await add(tx, 1);
  });
  expect(await idsIn("data")).toEqual([1]);
});

test("where the control plane knows no other place, a write is refused with 503 after three tries", async () => {
  await set("closed");
  await expect(add(db, 1)).rejects.toMatchObject({ code: "tenant_moved", status: 503 });
  expect(asked).toBe(3);
  await expect(db.transaction().execute((tx) => add(tx, 1))).rejects.toMatchObject({
    code: "tenant_moved",
    headers: { "Retry-After": "1" },
  });
});

test("a transaction whose snapshot is older than the fence can't write through it", async () => {
  const transaction = db
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (tx) => {
      await tx.selectFrom("notes").selectAll().execute();
      await set("closed");
      await add(tx, 1);
    });
  await expect(transaction).rejects.toMatchObject({ code: "40001" });
  expect(await idsIn("data")).toEqual([]);
});
