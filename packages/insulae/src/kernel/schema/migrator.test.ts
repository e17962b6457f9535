import { fork } from "node:child_process";
import { once } from "node:events";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createTestInstallation,
  type TestInstallation,
  testFeature,
} from "../../testing/test-installation.ts";
import { until } from "../../testing/until.ts";
import { inTransaction } from "../engine/connect.ts";
import { loadMigrations, type Migrations } from "./migration-files.ts";
import { migratePlacement, placementPlans, revertPlacement } from "./migrator.ts";
import { schemaRole } from "./roles.ts";

const base = "create table notes (id uuid primary key default app.uuid_v7(), text text);\n";
const first = `${base}select app.tenant_table('notes');\n-- down\ndrop table notes;`;
const tenant = "01900000-0000-7000-8000-00000000000a";

let installation: TestInstallation;
let client: pg.Client;
let second: pg.Client;
let schemas = 0;

const withTexts = async (...texts: string[]) => loadMigrations([await testFeature("notes", texts)]);

/** A schema of its own, migrated with the texts. */
async function schemaWith(migrations: Migrations): Promise<string> {
  schemas += 1;
  const schema = `s${schemas}`;
  await migratePlacement(client, schema, migrations, { create: true });
  return schema;
}

const planOf = async (schema: string, migrations: Migrations) =>
  (await placementPlans(client, [schema], migrations)).get(schema);

const columnsOf = async (schema: string) => {
  const { rows } = await client.query<{ name: string }>(
    `select attname as name from pg_attribute
     where attrelid = to_regclass($1) and attnum > 0 and not attisdropped order by attnum`,
    [`${schema}.notes`],
  );
  return rows.map(({ name }) => name);
};

/**
 * Whether somebody waits for a lock of this kind. Not by statistics, which a transaction reads only
 * once.
 */
const isAwaited = async (kind: "relation" | "advisory") => {
  const { rowCount } = await second.query(
    `select from pg_locks where not granted and locktype = $1
       and database = (select oid from pg_database where datname = current_database())`,
    [kind],
  );
  return rowCount !== 0;
};

beforeAll(async () => {
  installation = await createTestInstallation([await testFeature("notes", [first])]);
  client = await installation.open("owner");
  second = await installation.open("owner");
});
afterAll(() => installation.close());

test("up applies what is missing, once; down reverts it; status lists both", async () => {
  const one = await withTexts(first);
  const two = await withTexts(
    first,
    "alter table notes add city text;\n-- down\nalter table notes drop city;",
  );
  const schema = await schemaWith(one);
  expect(await migratePlacement(client, schema, two)).toEqual({
    applied: ["notes/0002_notes"],
    version: 2,
  });
  expect(await migratePlacement(client, schema, two)).toEqual({ applied: [], version: 2 });
  expect(await planOf(schema, one)).toMatchObject({
    applied: [{ number: 1 }],
    unknown: [{ set: "notes", number: 2 }],
  });
  expect(await revertPlacement(client, schema, two)).toEqual({
    reverted: ["notes/0002_notes"],
    version: 1,
  });
  expect(await columnsOf(schema)).toEqual(["id", "text", "tenant_id"]);
  expect(await planOf(schema, two)).toMatchObject({ pending: [{ number: 2 }] });
  expect(
    await revertPlacement(client, schema, two, { steps: 9, features: ["notes"] }),
  ).toMatchObject({
    version: 0,
  });
  expect(await columnsOf(schema)).toEqual([]);
});

test("a migration's role and settings end with it", async () => {
  const { rows } = await client.query(
    "select current_user = session_user as own, current_setting('row_security') as rls",
  );
  expect(rows).toEqual([{ own: true, rls: "on" }]);
});

describe("a migration is refused, and leaves nothing behind, if it is", () => {
  test.each([
    ["a table without isolation (attack 99)", "create table open (id int primary key);", "public"],
    [
      "one that takes the isolation away",
      "alter table notes no force row level security;",
      "force",
    ],
    [
      "one that takes the requests' grants away",
      "revoke all on notes from insulae_data;",
      "does not grant SELECT to insulae_data",
    ],
    ["one that fails half-way", "alter table notes add a int; select 1/0;", "division by zero"],
    [
      "one that refers to another feature's table too early",
      "select app.tenant_reference('notes', 'id', 'tags');",
      "name that feature in this one's `dependsOn`",
    ],
    ["one that changes rows it cannot see", "update notes set text = 'x';", "row-level security"],
    [
      "a plain foreign key",
      "create table c (id uuid primary key, n uuid); select app.tenant_table('c'); create unique index on notes (id); alter table c add foreign key (n) references notes (id) not valid;",
      "can leave the tenant",
    ],
  ])("%s", async (_, text, message) => {
    const schema = await schemaWith(await withTexts(first));
    const before = await columnsOf(schema);
    const expected = message === "public" ? "open has Row-Level Security switched off" : message;
    await expect(migratePlacement(client, schema, await withTexts(first, text))).rejects.toThrow(
      expected,
    );
    expect(await columnsOf(schema)).toEqual(before);
    expect(await planOf(schema, await withTexts(first))).toMatchObject({
      applied: [{ number: 1 }],
      unknown: [],
    });
  });

  test("an applied migration that was changed, or one inserted before it", async () => {
    const schema = await schemaWith(await withTexts(first));
    await expect(migratePlacement(client, schema, await withTexts(`${first} `))).rejects.toThrow(
      "notes/0001_notes was changed after it was applied",
    );
  });

  test("a migration below one that has landed and has no file here, up and down", async () => {
    const [b, c] = [
      "alter table notes add b int;\n-- down\nalter table notes drop b;",
      "select 1;",
    ];
    const schema = await schemaWith(await withTexts(first, b, c));
    const older = await withTexts(first, b);
    await expect(revertPlacement(client, schema, older)).rejects.toThrow(
      "notes/0002_notes can't be reverted: notes/0003_notes was applied after it",
    );
    expect(await planOf(schema, older)).toMatchObject({ applied: [{}, {}], unknown: [{}] });
    // As an earlier version left it.
    await client.query("delete from app.migrations where schema = $1 and number = 2", [schema]);
    await expect(migratePlacement(client, schema, older)).rejects.toThrow(
      "notes/0002_notes is not applied, but notes/0003_notes is, which comes after it. If notes/0002_notes is new, give it the number 0004.",
    );
  });

  test("a missing schema is not created again (attack 98)", async () => {
    const migrations = await withTexts(first);
    await expect(migratePlacement(client, "dropped", migrations)).rejects.toThrow(
      "the schema dropped does not exist",
    );
    const { rows } = await client.query("select from pg_namespace where nspname = 'dropped'");
    expect(rows).toEqual([]);
  });
});

test("app.backfill changes all tenants' rows and restores forced isolation", async () => {
  const schema = await schemaWith(await withTexts(first));
  await inTransaction(client, async () => {
    await client.query("select set_config('app.current_tenant_id', $1, true)", [tenant]);
    await client.query(`insert into ${schema}.notes (text) values ('old')`);
  });
  const backfill = "select app.backfill('notes', $$update notes set text = 'new'$$);";
  await migratePlacement(client, schema, await withTexts(first, backfill));
  expect((await client.query(`select text from ${schema}.notes`)).rows).toEqual([{ text: "new" }]);
});

test("app.tenant_reference validates existing rows", async () => {
  const tables = `${base}select app.tenant_table('notes');
    create table c (id uuid primary key, note_id uuid); select app.tenant_table('c');`;
  const schema = await schemaWith(await withTexts(tables));
  await client.query(
    `insert into ${schema}.c (tenant_id, id, note_id)
     values ('${tenant}', gen_random_uuid(), gen_random_uuid())`,
  );
  const refer = "select app.tenant_reference('c', 'note_id', 'notes');";
  await expect(migratePlacement(client, schema, await withTexts(tables, refer))).rejects.toThrow(
    "violates foreign key constraint",
  );
});

test("app.tenant_table adds what later changes lack, and keeps what exists", async () => {
  const later = `
    alter table notes add code text unique, add updated_at timestamptz not null default now();
    create index by_text on notes (lower(text)) where text <> '';
    select app.tenant_table('notes', '{select,insert}');
    select app.tenant_table('notes', '{select,insert}');`;
  const schema = await schemaWith(await withTexts(first, later));
  const { rows } = await client.query<{ definition: string }>(
    `select replace(indexdef, '${schema}.', '') as definition
     from pg_indexes where schemaname = $1 order by indexname`,
    [schema],
  );
  expect(rows.map(({ definition }) => definition)).toEqual([
    "CREATE INDEX by_text ON notes USING btree (tenant_id, lower(text)) WHERE (text <> ''::text)",
    "CREATE UNIQUE INDEX notes_code_key ON notes USING btree (tenant_id, code)",
    "CREATE UNIQUE INDEX notes_pkey ON notes USING btree (tenant_id, id)",
  ]);
  const granted = await client.query(
    `select has_table_privilege('insulae_app', '${schema}.notes', 'insert') as insert,
       has_table_privilege('insulae_app', '${schema}.notes', 'update') as update,
       (select count(*)::int from pg_trigger where tgrelid = '${schema}.notes'::regclass) as triggers`,
  );
  expect(granted.rows).toEqual([{ insert: true, update: false, triggers: 1 }]);
});

test("behind a long SELECT a migration gives up, traffic continues, and a retry succeeds (attack 97)", async () => {
  const schema = await schemaWith(await withTexts(first));
  const migrations = await withTexts(first, "alter table notes add city text;");
  const app = await installation.open();
  await app.query(`set role ${schemaRole(installation.main.database, schema)}`);
  await second.query(`begin; select * from ${schema}.notes`);

  const options = { lockTimeoutMs: 100, attempts: 2 };
  const refused = migratePlacement(client, schema, migrations, options);
  await until("the migration waits", () => isAwaited("relation"));
  // It queues behind the waiting migration, and is answered while the long statement still runs.
  await app.query(`select * from ${schema}.notes`);
  await expect(refused).rejects.toMatchObject({ code: "55P03" });

  const patient = migratePlacement(client, schema, migrations, { lockTimeoutMs: 100 });
  await until("the migration waits", () => isAwaited("relation"));
  await until("it has given up once", async () => !(await isAwaited("relation")));
  await second.query("commit");
  expect(await patient).toMatchObject({ applied: ["notes/0002_notes"] });
});

test("of two migrators one waits, and then finds nothing to do (attack 96)", async () => {
  const schema = await schemaWith(await withTexts(first));
  const migrations = await withTexts(
    first,
    "select pg_sleep(0.2); alter table notes add city text;",
  );
  const results = await Promise.all(
    [client, second].map((each) => migratePlacement(each, schema, migrations)),
  );
  expect(results.map(({ applied }) => applied.length).sort()).toEqual([0, 1]);
  expect(results.map(({ version }) => version)).toEqual([2, 2]);
});

test("a killed migrator leaves nothing half done, and the next one continues (attack 96)", async () => {
  const text =
    "alter table notes add a int; select pg_advisory_xact_lock(96); alter table notes add b int;";
  const source = await testFeature("notes", [first, text]);
  const schema = await schemaWith(await withTexts(first));
  const config = await installation.servers.connectionConfig({
    serverId: installation.main.id,
    database: installation.main.database,
    role: "owner",
  });
  const child = fork(new URL("../../testing/migrate-in-child.ts", import.meta.url), {
    env: {
      ...process.env,
      CONFIG: JSON.stringify(config),
      SCHEMA: schema,
      FOLDER: `${source.migrations}`,
    },
  });
  await second.query("select pg_advisory_lock(96)");
  child.send("migrate");
  await until("the migrator is in the midst of it", () => isAwaited("advisory"));
  child.kill("SIGKILL");
  await once(child, "exit");

  expect(await columnsOf(schema)).not.toContain("a");
  await second.query("select pg_advisory_unlock(96)");
  const result = await migratePlacement(client, schema, await loadMigrations([source]));
  expect(result.applied).toEqual(["notes/0002_notes"]);
  expect(await columnsOf(schema)).toEqual(expect.arrayContaining(["a", "b"]));
});
