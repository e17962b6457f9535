/**
 * The attacks on the isolation in SQL, as data: what somebody who can run any statement as the app
 * role tries, in the pool, in tenant A's scope, on tenant B's rows; and what becomes of it.
 */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Placement } from "../model/tenant.ts";
import { migrateAll } from "../tenancy/migrate-all.ts";
import { inTransaction, withOwner } from "./connect.ts";

const A = "01900000-0000-7000-8000-00000000000a";
const B = "01900000-0000-7000-8000-00000000000b";
/** A row of B's, and one that is nobody's. */
const rowOfB = "01900000-0000-7000-8000-0000000000b1";
const rowOfNobody = "01900000-0000-7000-8000-0000000000ff";

const notes = `
  create table notes (
    id uuid primary key default app.uuid_v7(),
    code text unique,
    text text not null default '',
    updated_at timestamptz not null default now()
  );
  create index on notes (text);
  create table comments (
    id uuid primary key default app.uuid_v7(),
    note_id uuid,
    text text not null default ''
  );
  select app.tenant_table('notes');
  select app.tenant_table('comments');
  select app.tenant_reference('comments', 'note_id', 'notes', 'set null');
  create view recent_notes with (security_invoker = true) as select * from notes;
  grant select on recent_notes to insulae_data;`;

let installation: TestInstallation;
let app: pg.Client;
let other: pg.Client;

const target = () => ({
  serverId: installation.main.id,
  database: installation.main.database,
});

const rowsOfB = async () => {
  const { rows } = await inScope(other, B, "select id, code, text from notes order by id");
  return rows;
};

/** Runs the statement in the tenant's scope, in a transaction that is taken back. */
async function inScope(client: pg.Client, tenant: string | undefined, sql: string) {
  await client.query("begin");
  try {
    if (tenant !== undefined) {
      await client.query("select set_config('app.current_tenant_id', $1, true)", [tenant]);
    }
    // Of several statements, the last one's result.
    return [await client.query(sql)].flat().at(-1) ?? { rows: [], rowCount: 0 };
  } finally {
    await client.query("rollback");
  }
}

const outcomeOf = (tenant: string | undefined, sql: string): Promise<string> =>
  inScope(app, tenant, sql).then(
    ({ rowCount, rows }) => (rows.length > 0 ? JSON.stringify(rows) : `${rowCount ?? 0} rows`),
    (error: pg.DatabaseError) => error.code ?? String(error),
  );

beforeAll(async () => {
  installation = await createTestInstallation([await testFeature("notes", [notes])]);
  app = await installation.open();
  other = await installation.open();
  await inTransaction(other, async () => {
    await other.query("select set_config('app.current_tenant_id', $1, true)", [B]);
    await other.query("insert into notes (id, code, text) values ($1, 'b-only', 'secret')", [
      rowOfB,
    ]);
    await other.query("insert into comments (note_id, text) values ($1, 'secret')", [rowOfB]);
  });
  await withOwner(installation.connect, target(), (client) => client.query("analyze data.notes"));
});
afterAll(() => installation.close());

const verbs = [
  ["select", "select * from notes", "0 rows"],
  ["select through a view", "select * from recent_notes", "0 rows"],
  ["count", "select count(*) from notes", '[{"count":"0"}]'],
  ["insert", "insert into notes (text) values ('x')", "42501"],
  ["insert for B", `insert into notes (tenant_id) values ('${B}')`, "42501"],
  ["update", "update notes set text = 'x'", "0 rows"],
  ["delete", "delete from notes", "0 rows"],
  ["lock", "select * from notes for update", "0 rows"],
  ["copy", "copy notes to stdout", "0 rows"],
] as const;

describe("without a tenant no row is seen and none is written (attack 1)", () => {
  test.each(verbs)("%s", async (_, sql, outcome) => {
    expect(await outcomeOf(undefined, sql)).toBe(outcome);
  });
});

describe("with an empty or garbled tenant neither (attack 2)", () => {
  test.each(verbs)("%s", async (_, sql, outcome) => {
    expect(await outcomeOf("", sql)).toBe(outcome);
    // A garbled setting is an error as soon as a row or an index is looked at.
    expect(await outcomeOf("garbage", sql)).toBe("22P02");
  });
});

describe("tenant A on tenant B's rows", () => {
  test.each([
    ["reads by id", `select * from notes where id = '${rowOfB}'`, "0 rows"],
    ["names B", `select * from notes where tenant_id = '${B}'`, "0 rows"],
    ["tries or true", "select * from notes where true or tenant_id is not null", "0 rows"],
    ["changes by id", `update notes set text = 'x' where id = '${rowOfB}'`, "0 rows"],
    ["deletes by id", `delete from notes where id = '${rowOfB}'`, "0 rows"],
    ["7: inserts for B", `insert into notes (tenant_id) values ('${B}')`, "42501"],
    [
      "7: gives a row of its own to B",
      `insert into notes (text) values ('mine'); update notes set tenant_id = '${B}'`,
      "42501",
    ],
    [
      "8: hits B's key with on conflict do update",
      `insert into notes (id, text) values ('${rowOfB}', 'mine')
       on conflict (tenant_id, id) do update set text = 'taken: ' || notes.text returning text`,
      '[{"text":"mine"}]',
    ],
    [
      "8: hits B's unique value",
      `insert into notes (code) values ('b-only') on conflict do nothing returning code`,
      '[{"code":"b-only"}]',
    ],
    ["9: refers to B's row", `insert into comments (note_id) values ('${rowOfB}')`, "23503"],
    ["9: refers to nobody's", `insert into comments (note_id) values ('${rowOfNobody}')`, "23503"],
    [
      "10: uses a value that is unique in B",
      "insert into notes (code) values ('b-only')",
      "1 rows",
    ],
    ["5: truncates", "truncate notes", "42501"],
    [
      "5: adds a trigger",
      "create trigger t after insert on notes execute function app.touch()",
      "42501",
    ],
    ["5: alters a table", "alter table notes disable row level security", "42501"],
    ["5: drops the policy", "drop policy notes_tenant_isolation on notes", "42501"],
    [
      "5: switches Row-Level Security off",
      "set local row_security = off; select * from notes",
      "42501",
    ],
    ["5: becomes the owner", "set role insulae_owner", "42501"],
    ["5: becomes the control plane", "set role insulae_control", "42501"],
    ["5: switches triggers off", "set local session_replication_role = replica", "42501"],
    ["14: makes a function", "create function f() returns int language sql return 1", "42501"],
    [
      "14: makes one in public",
      "create function public.f() returns int language sql return 1",
      "42501",
    ],
    [
      "14: makes an operator",
      "create operator public.=== (leftarg = int, rightarg = int, function = int4eq)",
      "42501",
    ],
    ["14: makes a temporary table", "create temporary table t (i int)", "42501"],
    ["14: makes a temporary view", "create temporary view v as select 1", "42501"],
    ["14: makes a schema", "create schema s", "42501"],
    ["14: makes a large object", "select lo_from_bytea(0, 'x')", "42501"],
    [
      "15: copies the table, and gets its own rows",
      "insert into notes (text) values ('mine'); copy notes to stdout",
      "1 rows",
    ],
    ["15: copies into the table", "copy notes (text) from stdin", "0A000"],
    ["15: copies to a file of the server", "copy notes to '/tmp/notes'", "42501"],
    ["reads the control plane", "select * from control.tenants", "42501"],
    ["reads the ledger", "select * from app.migrations", "42501"],
    [
      "lifts the isolation with the migrations' function",
      "select app.backfill('notes', 'select 1')",
      "42501",
    ],
    ["reads the statistics", "select * from pg_stats where tablename = 'notes'", "0 rows"],
    ["reads the passwords", "select * from pg_authid", "42501"],
  ])("%s", async (_, sql, outcome) => {
    const before = await rowsOfB();
    expect(await outcomeOf(A, sql)).toBe(outcome);
    expect(await rowsOfB()).toEqual(before);
  });
});

describe("the scope ends with its transaction (attack 3)", () => {
  const visible = async () => (await app.query("select id from notes")).rows.length;

  test.each([
    ["a statement", "select 1"],
    ["an error", "select 1/0"],
    ["a timeout", "set local statement_timeout = 20; select pg_sleep(5)"],
  ])("after %s nothing is visible without one", async (_, sql) => {
    await inScope(app, B, sql).catch(() => undefined);
    expect(await visible()).toBe(0);
  });

  test("after a commit too, and the search_path is what it was", async () => {
    await inTransaction(app, async () => {
      await app.query("select set_config('app.current_tenant_id', $1, true)", [B]);
      await app.query("select set_config('search_path', 'public', true)");
    });
    expect(await visible()).toBe(0);
    expect((await app.query("show search_path")).rows).toEqual([{ search_path: "data" }]);
  });
});

test("a tenant that deletes a parent changes no row of another, whatever the ids (attack 12)", async () => {
  const { rows } = await inScope(
    app,
    A,
    `insert into notes (id) values ('${rowOfB}');
     insert into comments (note_id) values ('${rowOfB}');
     select set_config('app.current_tenant_id', '${B}', true);
     delete from notes where id = '${rowOfB}';
     select set_config('app.current_tenant_id', '${A}', true);
     select note_id from comments`,
  );
  expect(rows).toEqual([{ note_id: rowOfB }]);
  expect(await outcomeOf(B, "delete from notes; select note_id from comments")).toBe(
    '[{"note_id":null}]',
  );
});

test.each(["force_generic_plan", "force_custom_plan", "auto"])(
  "one prepared statement, A and B alternating, never crosses: %s (attack 16)",
  async (mode) => {
    const client = await installation.open();
    await client.query(`set plan_cache_mode = ${mode}; prepare q as select id from notes`);
    for (let turn = 0; turn < 3_400; turn += 1) {
      const tenant = turn % 2 === 0 ? A : B;
      const results = await client.query<{ id: string }>(
        `begin; select set_config('app.current_tenant_id', '${tenant}', true); execute q; commit`,
      );
      const ids = [results].flat()[2]?.rows.map(({ id }) => id);
      expect(ids).toEqual(tenant === B ? [rowOfB] : []);
    }
  },
);

test("a list is read from the primary key, and stays there when the statistics are stale", async () => {
  const client = await installation.open();
  const plan = async () => {
    await client.query("select set_config('app.current_tenant_id', $1, true)", [B]);
    const { rows } = await client.query<{ "QUERY PLAN": string }>(
      "explain (costs off) select * from notes order by id limit 25",
    );
    return rows.map((row) => row["QUERY PLAN"].trim());
  };
  const setting = "(NULLIF(current_setting('app.current_tenant_id'::text, true), ''::text))::uuid";
  const byPrimaryKey = [
    "Limit",
    "->  Index Scan using notes_pkey on notes",
    `Index Cond: (tenant_id = ${setting})`,
  ];
  await client.query("begin");
  // The table was analyzed with one row, on one page: reading it whole would look cheaper.
  expect(await plan()).toEqual(byPrimaryKey);
  await client.query("set local enable_seqscan = on");
  expect((await plan()).join()).toContain("Seq Scan");
  await client.query("rollback");
});

describe("a tenant that has a schema of its own (attack 17)", () => {
  let a: Placement;
  let b: Placement;
  /** What a statement's scope sets, beside the tenant. */
  const inPlace = ({ schema, role }: Placement) =>
    `select set_config('search_path', '${schema}', true), set_config('role', '${role}', true);`;
  const asA = (sql: string) => outcomeOf(A, inPlace(a) + sql.replaceAll("THEIRS", b.schema));

  beforeAll(async () => {
    const place = (id: string) =>
      installation.provisioning.place(id as TenantId, { isolation: "schema" });
    a = await place(A);
    b = await place(B);
    await inTransaction(other, async () => {
      await other.query("select set_config('app.current_tenant_id', $1, true)", [B]);
      await other.query(`${inPlace(b)} insert into notes (text) values ('secret')`);
    });
  });

  test("works in its own, by name and without", async () => {
    const write = "insert into notes (text) values ('mine'); update notes set text = 'changed';";
    expect(await asA(`${write} select text from notes`)).toBe('[{"text":"changed"}]');
    expect(await asA(`${write} select text from ${a.schema}.notes`)).toBe('[{"text":"changed"}]');
    expect(await outcomeOf(B, `${inPlace(b)} select text from notes`)).toBe('[{"text":"secret"}]');
  });

  test.each([
    ["reads another's", "select * from THEIRS.notes", "42501"],
    ["writes a row of its own there", "insert into THEIRS.notes (text) values ('x')", "42501"],
    ["changes another's", "update THEIRS.notes set text = 'x'", "42501"],
    ["deletes another's", "delete from THEIRS.notes", "42501"],
    ["copies another's", "copy THEIRS.notes to stdout", "42501"],
    // What may not be used is left out of the search_path: there is no such table.
    ["searches another's", "set local search_path = THEIRS; select * from notes", "42P01"],
    [
      "writes where it searches",
      "set local search_path = THEIRS; insert into notes (text) values ('x')",
      "42P01",
    ],
    ["reads the pool", "select * from data.notes", "42501"],
    ["writes a row of its own to the pool", "insert into data.notes (text) values ('x')", "42501"],
    ["becomes the owner", "set local role insulae_owner", "42501"],
    ["makes a table", "create table t (i int)", "42501"],
  ])("%s: %s", async (_, sql, outcome) => {
    expect(await asA(sql)).toBe(outcome);
  });

  test.each([
    "select * from THEIRS.notes",
    "insert into THEIRS.notes (text) values ('x')",
    "update THEIRS.notes set text = 'x'",
    "delete from THEIRS.notes",
    "set local role insulae_schemas; select * from THEIRS.notes",
  ])("from the pool's scope, with either's tenant: %s", async (sql) => {
    const text = sql.replace("THEIRS", b.schema);
    expect([await outcomeOf(A, text), await outcomeOf(B, text)]).toEqual(["42501", "42501"]);
  });

  test("role and search_path end with the scope, after a commit and after an error", async () => {
    const settings = "select current_user as role, current_setting('search_path') as search_path";
    await asA("select * from nowhere");
    expect((await app.query(settings)).rows).toEqual([
      { role: "insulae_app", search_path: "data" },
    ]);
    await inTransaction(app, () => app.query(inPlace(a)));
    expect((await app.query(settings)).rows).toEqual([
      { role: "insulae_app", search_path: "data" },
    ]);
  });

  test("a schema that an earlier version made is restricted when it is migrated", async () => {
    const usedBy = () =>
      withOwner(installation.connect, target(), async (client) => {
        const { rows } = await client.query(
          `select nspname as schema, array_agg(grantee::regrole::text order by 1) as roles
           from pg_namespace cross join aclexplode(nspacl)
           where nspname = any ($1) and grantee <> nspowner group by 1 order by 1`,
          [["data", b.schema]],
        );
        return rows;
      });
    await withOwner(installation.connect, target(), (client) =>
      client.query(
        `grant usage on schema data, ${b.schema} to insulae_data;
         revoke usage on schema data from insulae_app;
         drop owned by ${b.role}; drop role ${b.role}`,
      ),
    );
    expect(await outcomeOf(B, `${inPlace(b)} select text from notes`)).toBe("22023");
    await migrateAll(installation);
    expect(await usedBy()).toEqual([
      { schema: "data", roles: ["insulae_app"] },
      { schema: b.schema, roles: [b.role] },
    ]);
    expect(await outcomeOf(B, `${inPlace(b)} select text from notes`)).toBe('[{"text":"secret"}]');
  });
});
