/** Constraints that a feature names but none of its tables has. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../testing/index.ts";
import { testFeature } from "../../testing/test-installation.ts";
import { testMasterSecret } from "../../testing/test-secret.ts";
import { openClient } from "../engine/connect.ts";
import { createSecrets } from "../lib/secrets.ts";
import { bootMainServer } from "../tenancy/prepare.ts";
import { loadMigrations, type MigrationSource } from "./migration-files.ts";

const table = (name: string) =>
  `create table ${name} (id uuid primary key); select app.tenant_table('${name}');`;

let database: TestDatabase;
let notes: MigrationSource;
let tags: MigrationSource;

beforeAll(async () => {
  database = await createTestDatabase();
  notes = await testFeature("notes", [table("notes") + table("note_lines")]);
  tags = await testFeature("tags", [table("tags")]);
  await start([notes, tags]);
});
afterAll(() => database.drop());

async function start(features: readonly MigrationSource[]) {
  const migrations = await loadMigrations(features);
  const secrets = createSecrets(testMasterSecret);
  return bootMainServer({ url: database.url, secrets, migrations });
}

async function inDatabase(sql: string) {
  const client = await openClient({ connectionString: database.url });
  await client.query(`set role insulae_owner; set search_path = data; ${sql}`);
  await client.end();
}

describe("a feature names a constraint", () => {
  const naming = (...names: string[]) => ({
    constraints: Object.fromEntries(names.map((name) => [name, "an error"])),
  });

  test("that does not exist: the server does not start, and suggests a similar name", async () => {
    await expect(start([{ ...notes, ...naming("notes_pkay") }, tags])).rejects.toThrow(
      "the feature notes names the constraint notes_pkay, which does not exist; did you mean notes_pkey?",
    );
    // In addition to the problems of its tables.
    const both = { ...notes, tables: ["notes"], ...naming("nothing") };
    await expect(start([both, tags])).rejects.toThrow(/data\.note_lines[\s\S]*constraint nothing/);
  });

  test("of another feature's table: the server does not start", async () => {
    await expect(start([{ ...notes, ...naming("tags_pkey") }, tags])).rejects.toThrow(
      "the feature notes names the constraint tags_pkey, which is of the table tags: name it in the `constraints` of the feature tags",
    );
  });

  test("of its own: a key, a check, a unique index, either end of a reference, one raised by a function", async () => {
    await inDatabase(`
      alter table notes add constraint notes_check check (true), add tag_id uuid;
      create unique index notes_once on notes (tenant_id, id);
      select app.tenant_reference('notes', 'tag_id', 'tags');
      create function guard() returns trigger language plpgsql as $f$
        begin raise exception 'no' using errcode = '23514', constraint = 'notes_limit'; end $f$`);
    const of = ["notes_pkey", "notes_check", "notes_once", "notes_limit", "notes_tag_id_fkey"];
    await start([{ ...notes, ...naming(...of) }, tags]);
    await start([notes, { ...tags, ...naming("notes_tag_id_fkey") }]);
  });

  test("that a newer version has dropped: an older one starts nevertheless", async () => {
    const older = { ...(await testFeature("lines", [table("lines")])), ...naming("lines_check") };
    await expect(start([notes, tags, older])).rejects.toThrow("lines_check");
    await start([notes, tags, await testFeature("lines", [table("lines"), "select 1;"])]);
    await start([notes, tags, older]);
  });
});
