import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import type { DeclarationError } from "../lib/declaration-error.ts";
import { loadMigrations, orderByDependencies, readMigrations } from "./migration-files.ts";

type Files = Readonly<Record<string, string | Buffer>>;

const down = "\n-- down\nselect 1;\n";
const one = `select 1;${down}`;

async function folder(files: Files): Promise<URL> {
  const path = await mkdtemp(join(tmpdir(), "insulae-migrations-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return pathToFileURL(`${path}/`);
}

test("a file is split at `-- down`, and other files are left alone", async () => {
  const migrations = await readMigrations(
    "notes",
    await folder({
      "0001_notes.sql": "create table notes ();\n-- down\ndrop table notes;\n",
      "0002_more.sql":
        "select 1; -- down here is not a line of its own\n-- down\n-- nothing: it has changed nothing\n",
      "README.md": "not a migration",
      "0001_notes.sql~": "an editor's copy",
      "#0002_more.sql#": "not saved yet",
      ".#0002_more.sql": "locked by an editor",
      ".0002_more.sql.swp": "open in an editor",
      "._0001_notes.sql": "macOS's notes on a file",
      ".DS_Store": "macOS's notes on a folder",
    }),
  );
  expect(migrations).toMatchObject([
    { set: "notes", number: 1, name: "notes", up: "create table notes ();\n" },
    { number: 2, name: "more", up: "select 1; -- down here is not a line of its own\n" },
  ]);
  expect(migrations[0]?.down?.trim()).toBe("drop table notes;");
});

test("the checksum covers everything except line endings", async () => {
  const checksum = async (text: string) =>
    (await readMigrations("n", await folder({ "0001_n.sql": text + down })))[0]?.checksum;
  expect(await checksum("select 1;\r\nselect 2;")).toBe(await checksum("select 1;\nselect 2;"));
  expect(await checksum("select 1;")).not.toBe(await checksum("select 1; "));
});

test.each([
  [{ "1_notes.sql": one }, "1_notes.sql: name migrations like 0001_contacts.sql"],
  [{ "0001_Notes.sql": one }, "name migrations like"],
  [{ "0001_notes.SQL": one }, "name migrations like"],
  [{ "0001_notes.psql": one }, "name migrations like"],
  [{ "0001_notes.sql.bak": one }, "name migrations like"],
  [{ "notes.sql": one }, "name migrations like"],
  [{ "0001_notes.sql~": one }, "it contains no migration"],
  [{ "0002_notes.sql": one }, "expected number 0001"],
  [{ "0001_a.sql": one, "0003_b.sql": one }, "0003_b.sql: expected number 0002"],
  [
    { "0001_a.sql": one, "0001_b.sql": one },
    "0001_b.sql: 0001_a.sql also has the number 0001; use the next one",
  ],
  [{ "0001_a.sql": "\n-- down\nselect 1" }, "it has no statements"],
  [{ "0001_a.sql": "-- to be written\n/* later */\n-- down\nselect 1" }, "it has no statements"],
  [{ "0001_a.sql": "select 1;\n" }, '0001_a.sql: it has no "-- down" part'],
  [{ "0001_a.sql": "select 1;\n-- down\n" }, 'it has no "-- down" part'],
  [{ "0001_a.sql": "select 1;\n-- down\n-- down\n" }, 'more than one "-- down" line'],
  [{ "0001_a.sql": `create table a (); commit work;\n${down}` }, 'remove "commit work"'],
  [{ "0001_a.sql": `create table a ();\nEND;\n${down}` }, 'remove "end"'],
  [{ "0001_a.sql": `create table a ();\n-- down\ndrop table a; rollback` }, 'remove "rollback"'],
  [{ "0001_a.sql": `begin;\n${one}` }, 'remove "begin"'],
  [{ "0001_a.sql": Buffer.from(`select 'ä'`, "latin1") }, "it is not UTF-8 text"],
  [{ "0001_a.sql": Buffer.from(one, "utf16le") }, "it is not UTF-8 text"],
  [{}, "it contains no migration; add one such as 0001_notes.sql"],
  [{ "README.md": "nothing" }, "it contains no migration"],
])("a folder with %j is refused", async (files: Files, message) => {
  const refused = expect(readMigrations("notes", await folder(files))).rejects;
  await refused.toThrow(message);
  await refused.toThrow(/^The application's declarations are invalid:\n- notes: /);
});

test("a missing folder is refused with its feature and path", async () => {
  const missing = new URL("migration/", await folder({}));
  await expect(readMigrations("notes", missing)).rejects.toThrow(
    `notes: migrations: ${fileURLToPath(missing).slice(0, -1)}: the folder does not exist`,
  );
});

test("a folder whose name ends in .sql is refused", async () => {
  const url = await folder({});
  await mkdir(new URL("0001_notes.sql", url));
  await expect(readMigrations("notes", url)).rejects.toThrow("0001_notes.sql: it cannot be read");
});

test("a folder's URL may end without a slash", async () => {
  const url = await folder({ "0001_notes.sql": one });
  const bare = new URL(url.href.slice(0, -1));
  expect(await readMigrations("notes", bare)).toEqual(await readMigrations("notes", url));
});

test("all problems in all folders are reported at once", async () => {
  const wrong = (name: string, migrations: URL) => ({
    name,
    dependsOn: [],
    tables: [name],
    migrations,
  });
  const load = loadMigrations([
    wrong("notes", await folder({ "0001_a.sql": "select 1;", "0002_b.sql": "\n-- down\n" })),
    { ...wrong("tags", await folder({ "1_a.sql": one })), dependsOn: ["note"], tables: ["notes"] },
  ]);
  const { problems }: DeclarationError = await load.then(
    () => expect.unreachable("they were loaded"),
    (error) => error,
  );
  expect(problems).toEqual([
    "feature tags depends on note, which does not exist; did you mean notes?",
    "the features notes and tags both list the table notes",
    expect.stringMatching(/^notes: .*0001_a.sql: it has no "-- down" part/),
    expect.stringMatching(/^notes: .*0002_b.sql: it has no statements/),
    expect.stringMatching(/^tags: .*1_a.sql: name migrations like/),
  ]);
});

const source = (name: string, ...dependsOn: string[]) => ({
  name,
  dependsOn,
  migrations: undefined,
});
const names = (sources: readonly { name: string }[]) => sources.map(({ name }) => name).join(" ");

test("a feature comes after its dependencies, and otherwise keeps its place", () => {
  expect(names(orderByDependencies([source("c", "a"), source("b"), source("a")]))).toBe("a c b");
  expect(names(orderByDependencies([source("x"), source("b"), source("a")]))).toBe("x b a");
});

test("features with cycles, unknown dependencies or duplicate names are refused", () => {
  expect(() => orderByDependencies([source("a", "b"), source("b", "c"), source("c", "a")])).toThrow(
    "a → b → c → a",
  );
  expect(() => orderByDependencies([source("a", "z")])).toThrow(
    "a depends on z, which does not exist",
  );
  const at = (folder: string) => ({ ...source("a"), migrations: new URL(`file:///${folder}/`) });
  expect(() => orderByDependencies([at("one"), at("two")])).toThrow(
    "two features have the same name, a (one with migrations in /one/, one with migrations in /two/): rename one",
  );
});

test("the hash names what the data plane is made of", async () => {
  const notes = { name: "notes", dependsOn: [], tables: [] };
  const hashOf = async (text: string) => {
    const migrations = await folder({ "0001_notes.sql": text + down });
    return (await loadMigrations([{ ...notes, migrations }])).hash;
  };
  expect(await hashOf("select 1")).toBe(await hashOf("select 1"));
  expect(await hashOf("select 1")).not.toBe(await hashOf("select 2"));
});
