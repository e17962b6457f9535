/**
 * A table that no feature lists, and a listed one that is missing, as an application causes them.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../testing/index.ts";
import { testFeature } from "../../testing/test-installation.ts";
import { testMasterSecret } from "../../testing/test-secret.ts";
import { openClient } from "../engine/connect.ts";
import { createSecrets } from "../lib/secrets.ts";
import { findMainServer } from "../tenancy/main-server.ts";
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

const warnings: unknown[] = [];
const log = { info() {}, warn: (...said: unknown[]) => void warnings.push(said) } as never;

async function start(features: readonly MigrationSource[]) {
  const migrations = await loadMigrations(features);
  const secrets = createSecrets(testMasterSecret);
  return bootMainServer({ url: database.url, secrets, migrations, log });
}

async function inDatabase(sql: string) {
  const client = await openClient({ connectionString: database.url });
  await client.query(`set role insulae_owner; set search_path = data; ${sql}`);
  await client.end();
}

describe("the server does not start", () => {
  test("if a feature creates a table that it does not list", async () => {
    const forgetful = { ...notes, tables: ["notes"] };
    await expect(start([forgetful, tags])).rejects.toThrow(
      'the feature notes creates the table data.note_lines but does not list it: add "note_lines"',
    );
    const migrations = await loadMigrations([forgetful, tags]);
    const found = findMainServer({ url: database.url, migrations, check: true });
    await expect(found, "nor where it does not migrate").rejects.toThrow("data.note_lines");
  });

  test("if a feature lists a missing table", async () => {
    const wishful = { ...tags, tables: ["tags", "labels"] };
    await expect(start([notes, wishful])).rejects.toThrow(
      "the feature tags lists the table labels, which the schema data does not have",
    );
  });

  test("while a feature refers to a table of one that it doesn't depend on, and that comes after it", async () => {
    const first = table("marks").replace("uuid primary key", "uuid primary key, tag_id uuid");
    const text = `${first} select app.tenant_reference('marks', 'tag_id', 'tags');`;
    const marks = await testFeature("marks", [text]);
    // In this order it could be migrated.
    await start([notes, tags, marks]);
    await expect(start([notes, marks, tags])).rejects.toThrow(
      'add "tags" to the `dependsOn` of marks',
    );
    await start([notes, { ...marks, dependsOn: ["tags"] }, tags]);
    await inDatabase("drop table marks; delete from app.migrations where set = 'marks'");
  });

  test("if there is a table that no feature creates", async () => {
    await inDatabase(table("by_hand"));
    try {
      await expect(start([notes, tags])).rejects.toThrow(
        "no feature creates or lists the table data.by_hand",
      );
    } finally {
      await inDatabase("drop table by_hand");
    }
    await start([notes, tags]);
  });

  test("if two features list the same table", async () => {
    await expect(start([notes, { ...tags, tables: ["tags", "notes"] }])).rejects.toThrow(
      "the features notes and tags both list the table notes",
    );
  });
});

test("tables of features that are not loaded are allowed, and logged", async () => {
  warnings.length = 0;
  await start([notes]);
  expect(warnings).toEqual([[{ tables: ["data.tags"] }, expect.stringContaining("does not load")]]);
  // An older version, after a newer one has migrated.
  const newer = await testFeature("notes", [table("notes") + table("note_lines"), table("more")]);
  await start([newer, tags]);
  warnings.length = 0;
  await start([notes, tags]);
  expect(warnings).toEqual([[{ tables: ["data.more"] }, expect.anything()]]);
});
