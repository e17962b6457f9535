import { CompiledQuery, type Expression, type Kysely, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Broker } from "../engine/broker.ts";
import {
  createEngine,
  databaseOf,
  type Engine,
  type NoteTables,
  tenantA,
} from "../engine/engine-fixture.ts";
import type { Lanes } from "../engine/lanes.ts";
import { rulesOf } from "../engine/sql-rules.ts";
import { given, onlyGiven, type Params, statement } from "./statement.ts";
import { createVariants } from "./statement-variants.ts";
import type { TenantDatabase } from "./tenant-database.ts";

let engine: Engine;
let broker: Broker;
let lanes: Lanes;
let db: TenantDatabase<NoteTables>;

beforeAll(async () => {
  engine = await createEngine();
  broker = engine.broker();
  lanes = engine.lanes(broker);
  db = databaseOf(engine, lanes, broker, tenantA);
  await db.sql`insert into notes (id, text) select n, 'a ",
' || n from generate_series(1, 7) as n`;
});
afterAll(() => engine.close());

type Db = Kysely<NoteTables>;

const findNote = statement((db: Db, p: Params<{ id: number }>) =>
  db.selectFrom("notes").select(["id", "text"]).where("id", "=", p.id),
);
const allNotes = statement((db: Db) => db.selectFrom("notes").select("id").orderBy("id"));

let built = 0;
const listNotes = statement(
  (db: Db, p: Params<{ limit: number; after?: number; text?: string }>) => {
    built += 1;
    let query = db.selectFrom("notes").select(["id", "text"]).orderBy("id");
    if (given(p.after)) query = query.where("id", ">", p.after);
    if (given(p.text)) query = query.where("text", "=", p.text);
    return query.limit(p.limit);
  },
);
const pageOptions = {
  cursor: { encode: (key: readonly unknown[]) => JSON.stringify(key) },
  key: (item: { id: number }) => [item.id],
};

test("rows, the first row, and JSON of them", async () => {
  expect(await findNote.first(db, { id: 3 })).toEqual({ id: 3, text: 'a ",\n3' });
  expect(await findNote.first(db, { id: 99 })).toBeUndefined();
  expect((await allNotes.all(db)).map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect((await findNote.json(db, { id: 3 }))?.text).toBe('{"id":3,"text":"a \\",\\n3"}');
  expect(await findNote.json(db, { id: 99 })).toBeUndefined();
  expect((await allNotes.jsonList(db)).text).toBe(
    '[{"id":1},{"id":2},{"id":3},{"id":4},{"id":5},{"id":6},{"id":7}]',
  );
  expect((await listNotes.jsonList(db, { limit: 5, after: 99 })).text).toBe("[]");
});

test("pages follow each other without gaps, and the last has no cursor", async () => {
  const seen: number[] = [];
  let after: number | undefined;
  for (let pages = 0; pages < 10; pages += 1) {
    const { text } = await listNotes.page(db, { after }, { ...pageOptions, limit: 3 });
    const page = JSON.parse(text) as {
      items: { id: number; text: string }[];
      next_cursor: string | null;
    };
    for (const { id } of page.items) seen.push(id);
    expect(page.items.length).toBeLessThanOrEqual(3);
    if (page.next_cursor === null) break;
    after = JSON.parse(page.next_cursor)[0];
  }
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
  const empty = await listNotes.page(db, { after: 99 }, { ...pageOptions, limit: 3 });
  expect(empty.text).toBe('{"items":[],"next_cursor":null}');
  const exact = await listNotes.page(db, {}, { ...pageOptions, limit: 7 });
  expect(JSON.parse(exact.text)).toMatchObject({ next_cursor: null });
});

describe("a page of large rows", () => {
  const bytes = 100_000;
  const ids = Array.from({ length: 100 }, (_, n) => 1_000 + n);

  beforeAll(async () => {
    await db.sql`insert into notes (id, text)
      select n, repeat('x', ${bytes}::int) from generate_series(1000, 1099) as n`;
  });

  test("ends early, and the next page continues right there", async () => {
    const seen: number[] = [];
    let after = 999;
    for (let pages = 1; ; pages += 1) {
      const { text } = await listNotes.page(db, { after }, { ...pageOptions, limit: 200 });
      expect(text.length).toBeLessThan(3 * 1024 * 1024 + 2 * bytes);
      const page = JSON.parse(text) as { items: { id: number }[]; next_cursor: string | null };
      seen.push(...page.items.map(({ id }) => id));
      if (page.next_cursor === null) break;
      expect(page.items.length).toBeGreaterThan(25);
      expect(pages).toBeLessThan(10);
      after = JSON.parse(page.next_cursor)[0];
    }
    expect(seen).toEqual(ids);
  });

  test("has no more rows than requested", async () => {
    const { text } = await listNotes.page(db, { after: 999 }, { ...pageOptions, limit: 2 });
    expect(JSON.parse(text)).toMatchObject({ items: [{ id: 1000 }, { id: 1001 }] });
    expect(JSON.parse(JSON.parse(text).next_cursor)).toEqual([1001]);
  });

  test("has at least one row, however large", async () => {
    await db.sql`insert into notes (id, text) values (2000, repeat('x', 4000000)), (2001, 'y')`;
    const { text } = await listNotes.page(db, { after: 1999 }, { ...pageOptions, limit: 9 });
    const { items, next_cursor } = JSON.parse(text);
    expect(items.map(({ id }: { id: number }) => id)).toEqual([2000]);
    expect(JSON.parse(next_cursor)).toEqual([2000]);
    await db.sql`delete from notes where id >= 2000`;
  });

  test("is not computed beyond its end by PostgreSQL", async () => {
    const variants = createVariants<NoteTables>((notes) =>
      notes
        .selectFrom("notes")
        .select(["id", "text"])
        .where("id", ">", 999)
        .orderBy("id")
        .limit(201),
    );
    const { jsonPage, values } = variants.of({});
    await db.transaction().execute(async (tx) => {
      const plan = await tx.executeQuery<{ "QUERY PLAN": string }>({
        ...CompiledQuery.raw(`explain (analyze, timing off) ${jsonPage}`, values({})),
      });
      const scanned = plan.rows
        .map((row) => row["QUERY PLAN"])
        .find((line) => /Subquery Scan on t /.test(line));
      expect(Number(/actual rows=(\d+)/.exec(scanned ?? "")?.[1])).toBeLessThan(40);
    });
  });
});

test("a statement is built once per set of present parameters", async () => {
  built = 0;
  for (let n = 0; n < 5; n += 1) {
    await listNotes.all(db, { limit: 1, after: 6 - n, text: undefined });
    await listNotes.all(db, { limit: 1, text: "none" });
  }
  expect(built).toBeLessThanOrEqual(2);
  expect(await listNotes.all(db, { limit: 1, after: 6 })).toMatchObject([{ id: 7 }]);
});

test("constants, null, false and zero are used as values", async () => {
  const echo = statement((db: Db, p: Params<{ a: string | null; b: boolean; c: number }>) =>
    db.selectNoFrom([
      sql<string | null>`${p.a}::text`.as("a"),
      sql<boolean>`${p.b}::boolean`.as("b"),
      sql<number>`${p.c}::int`.as("c"),
      sql<string>`${"constant"}::text`.as("d"),
    ]),
  );
  expect(await echo.first(db, { a: null, b: false, c: 0 })).toEqual({
    a: null,
    b: false,
    c: 0,
    d: "constant",
  });
});

test("a builder that uses a value gets an error", async () => {
  const wrong = statement((db: Db, p: Params<{ text: string }>) =>
    db.selectFrom("notes").select("id").where("text", "like", `${p.text}%`),
  );
  await expect(wrong.all(db, { text: "a" })).rejects.toThrow('the value of "text" is unknown');
});

// Compile-time tests: `tsc` fails if an expected error does not occur.
test("a builder that uses a value does not compile, one that checks presence does", () => {
  type Wanted = {
    ids: readonly number[];
    sort: string;
    loud: boolean;
    after?: number;
    onlyOld?: boolean;
  };
  statement((db: Db, p: Params<Wanted>) => {
    // @ts-expect-error it is an expression, not a text
    if (p.sort === "text") return db.selectFrom("notes").select("id");
    // @ts-expect-error nor a boolean
    if (p.loud === true) return db.selectFrom("notes").select("id");
    // @ts-expect-error nor a list
    if (p.ids.length === 0) return db.selectFrom("notes").select("id");
    // @ts-expect-error nor can it be tested
    if (p.loud) return db.selectFrom("notes").select("id");
    // @ts-expect-error that goes for one that may be absent, too
    if (p.onlyOld) return db.selectFrom("notes").select("id");
    // @ts-expect-error it may be absent
    const after: Expression<number> = p.after;
    const notes = db.selectFrom("notes").select("id").where("id", "=", sql<number>`any(${p.ids})`);
    // @ts-expect-error whether it is there is not asked like this
    if (p.after) return notes.where("id", ">", p.after);
    return given(p.after) ? notes.where("id", ">", p.after) : notes.where("id", ">", after);
  });
  statement((db: Db, { id, ...changes }: Params<{ id: number; text?: string }>) =>
    db.updateTable("notes").set(onlyGiven(changes)).where("id", "=", id),
  );
  // @ts-expect-error a number is compared with a text
  statement((db: Db, p: Params<{ id: string }>) => db.selectFrom("notes").where("id", "=", p.id));
});

test("data-modifying statements return JSON too, also in a transaction", async () => {
  const rename = statement((db: Db, p: Params<{ id: number; text: string }>) =>
    db.updateTable("notes").set({ text: p.text }).where("id", "=", p.id).returning(["id", "text"]),
  );
  expect((await rename.json(db, { id: 1, text: "x" }))?.text).toBe('{"id":1,"text":"x"}');
  await db.transaction().execute(async (tx) => {
    expect((await rename.json(tx, { id: 1, text: "y" }))?.text).toBe('{"id":1,"text":"y"}');
    expect((await rename.jsonList(tx, { id: 99, text: "z" })).text).toBe("[]");
    expect(await findNote.first(tx, { id: 1 })).toMatchObject({ text: "y" });
  });
});

test("a page requires a limit in its statement", async () => {
  await expect(
    (allNotes as typeof listNotes).page(db, {}, { ...pageOptions, limit: 1 }),
  ).rejects.toThrow("no `limit`");
});

test("columns may have any name, including those of the wrapping query", async () => {
  const names = ["t", "item", "items", "piece", "pieces", "firsts"] as const;
  const named = statement((db: Db, p: Params<{ limit: number }>) =>
    db
      .selectFrom("notes as t")
      .select((each) => names.map((name) => each.ref("t.text").as(name)))
      .where("t.id", "=", 2)
      .limit(p.limit),
  );
  const renamed = statement((db: Db, p: Params<{ id: number }>) =>
    db.updateTable("notes").set({ text: "x" }).where("id", "=", p.id).returning("text as t"),
  );
  const row = Object.fromEntries(names.map((name) => [name, 'a ",\n2']));
  expect((await named.jsonOrThrow(db, { limit: 1 })).value()).toEqual(row);
  expect((await named.jsonList(db, { limit: 1 })).value()).toEqual([row]);
  const page = await named.page(db, {}, { ...pageOptions, key: () => [], limit: 1 });
  expect(page.value()).toEqual({ items: [row], next_cursor: null });
  expect((await renamed.jsonOrThrow(db, { id: 1 })).text).toBe('{"t":"x"}');
});

test("an update that sets nothing returns the current row", async () => {
  const change = statement((db: Db, { id, ...changes }: Params<{ id: number; text?: string }>) =>
    db
      .updateTable("notes")
      .set(onlyGiven(changes))
      .where("id", "=", id)
      .returning(["id", "text as t"]),
  );
  const row = { id: 2, t: 'a ",\n2' };
  expect(await change.all(db, { id: 2 })).toEqual([row]);
  expect((await change.json(db, { id: 2, text: undefined }))?.value()).toEqual(row);
  expect(await change.json(db, { id: 99 })).toBeUndefined();
  const nothing = {};
  const notes = db.updateTable("notes").set(nothing);
  expect(await notes.where("id", "=", 2).returning("id").execute()).toEqual([{ id: 2 }]);
  await notes.where("id", "=", 2).execute();
  const joined = db
    .with("two", (each) => each.selectFrom("notes").select("id as two").where("id", "=", 2))
    .with("changed", (each) =>
      each
        .updateTable("notes as n")
        .set(nothing)
        .from("two")
        .whereRef("n.id", "=", "two.two")
        .returning("n.id"),
    )
    .selectFrom("changed")
    .select("id");
  expect(await joined.execute()).toEqual([{ id: 2 }]);
});

test("an update that sets nothing counts as a write for the write guard", () => {
  const variants = createVariants<NoteTables>((notes) =>
    notes.updateTable("notes").set({}).where("id", "=", 1).returning("id"),
  );
  expect(rulesOf(variants.of({}).json).kind).toBe("write");
});

test("an insert without values uses the defaults", async () => {
  const insert = statement((db: Kysely<{ notes: Partial<NoteTables["notes"]> }>) =>
    db.insertInto("notes").values({}).returning("id"),
  );
  // Columns of notes that are not null have no default.
  await expect(insert.json(db as never)).rejects.toMatchObject({ code: "23502" });
});
