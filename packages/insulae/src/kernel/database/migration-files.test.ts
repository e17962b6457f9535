import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { loadMigrations, orderByDependencies, readMigrations } from "./migration-files.ts";

async function folder(files: Readonly<Record<string, string>>): Promise<URL> {
  const path = await mkdtemp(join(tmpdir(), "insulae-migrations-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return pathToFileURL(`${path}/`);
}

test("a file is split at `-- down`, and other files are left alone", async () => {
  const migrations = await readMigrations(
    "notes",
    await folder({
      "0001_notes.sql": "create table notes ();\n-- down\ndrop table notes;\n",
      "0002_more.sql": "select 1; -- down here is not a line of its own\n",
      "README.md": "not a migration",
    }),
  );
  expect(migrations).toMatchObject([
    { set: "notes", number: 1, name: "notes", up: "create table notes ();\n" },
    { number: 2, name: "more", down: undefined },
  ]);
  expect(migrations[0]?.down?.trim()).toBe("drop table notes;");
});

test("the checksum knows every change but that of line ends", async () => {
  const checksum = async (text: string) =>
    (await readMigrations("n", await folder({ "0001_n.sql": text })))[0]?.checksum;
  expect(await checksum("select 1;\r\nselect 2;")).toBe(await checksum("select 1;\nselect 2;"));
  expect(await checksum("select 1;")).not.toBe(await checksum("select 1; "));
});

test.each([
  [{ "1_notes.sql": "select 1" }, "name migrations like 0001_contacts.sql"],
  [{ "0001_Notes.sql": "select 1" }, "name migrations like"],
  [{ "0002_notes.sql": "select 1" }, "expected number 0001"],
  [{ "0001_a.sql": "select 1", "0003_b.sql": "select 1" }, "expected number 0002"],
  [{ "0001_a.sql": "select 1", "0001_b.sql": "select 1" }, "expected number 0002"],
  [{ "0001_a.sql": "\n-- down\nselect 1" }, "nothing to migrate"],
  [{ "0001_a.sql": "select 1;\n-- down\n-- down\n" }, "more than once"],
  [{ "0001_a.sql": "create table a ();\ncommit;\n" }, 'take out "commit;"'],
  [{ "0001_a.sql": "begin;\nselect 1;" }, 'take out "begin;"'],
])("a folder with %j is refused", async (files: Record<string, string>, message) => {
  await expect(readMigrations("notes", await folder(files))).rejects.toThrow(message);
});

const source = (name: string, ...dependsOn: string[]) => ({
  name,
  dependsOn,
  migrations: undefined,
});
const names = (sources: readonly { name: string }[]) => sources.map(({ name }) => name).join(" ");

test("a feature comes after what it depends on, and otherwise keeps its place", () => {
  expect(names(orderByDependencies([source("c", "a"), source("b"), source("a")]))).toBe("a c b");
  expect(names(orderByDependencies([source("x"), source("b"), source("a")]))).toBe("x b a");
});

test("features that depend on each other, on nothing known, or have one name are refused", () => {
  expect(() => orderByDependencies([source("a", "b"), source("b", "c"), source("c", "a")])).toThrow(
    "a → b → c → a",
  );
  expect(() => orderByDependencies([source("a", "z")])).toThrow(
    "a depends on z, which is not there",
  );
  expect(() => orderByDependencies([source("a"), source("a")])).toThrow("the same name");
});

test("the hash names what the data plane is made of", async () => {
  const notes = { name: "notes", dependsOn: [], tables: [] };
  const hashOf = async (text: string) => {
    const migrations = await folder({ "0001_notes.sql": text });
    return (await loadMigrations([{ ...notes, migrations }])).hash;
  };
  expect(await hashOf("select 1")).toBe(await hashOf("select 1"));
  expect(await hashOf("select 1")).not.toBe(await hashOf("select 2"));
});
