import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { defineApp, stockApplication } from "../app/application.ts";
import { CommandError } from "../doctor/failure.ts";
import { standardFeatures } from "../features/index.ts";
import { feature as defineFeature } from "../kernel/feature/feature.ts";
import { readMigrations } from "../kernel/schema/migration-files.ts";
import { newMigration } from "./migrate-new.ts";

const stock = { application: async () => stockApplication, applicationFile: undefined };
const make = (name: string, featureDir: string) => newMigration(stock, name, { featureDir });

let feature: string;
beforeEach(async () => {
  feature = await mkdtemp(join(tmpdir(), "insulae-feature-"));
});
afterEach(() => rm(feature, { recursive: true }));

test("numbers continue after the last one, and the migrator accepts the file", async () => {
  await make("Add VAT-id", feature);
  const folder = join(feature, "migrations");
  const migrations = pathToFileURL(`${folder}/`);
  const notes = {
    application: async () => defineApp({ features: [featureOf({ migrations })] }),
    applicationFile: join(feature, "insulae.config.ts"),
  };
  await newMigration(notes, "second", { feature: "notes" });
  await make("third", folder);
  // The new file has no statements, so it can't be migrated by mistake.
  await expect(readMigrations("notes", migrations)).rejects.toThrow(
    /0001_add_vat_id.sql: it has no statements: .*\n.*0002_second.sql: it has no statements: .*\n.*0003_third.sql: .*$/,
  );
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    await writeFile(file, `select 1;\n${await readFile(file, "utf8")}select 2;\n`);
  }
  expect(
    (await readMigrations("notes", migrations)).map(({ number, name }) => [number, name]),
  ).toEqual([
    [1, "add_vat_id"],
    [2, "second"],
    [3, "third"],
  ]);
  expect(await readFile(join(folder, "0002_second.sql"), "utf8")).toMatch(/^-- down$/m);
});

test("an invalid name, a missing folder and an unknown feature are refused", async () => {
  const refused = (made: Promise<unknown>) => expect(made).rejects.toMatchObject({ exitCode: 2 });
  await refused(make("../x", feature));
  await refused(make("x", join(feature, "absent")));
  await refused(newMigration(stock, "x", { feature: "absent" }));
  await refused(newMigration(stock, "x", {}));
  await refused(newMigration(stock, "x", { feature: "contacts", featureDir: feature }));
  expect(await readdir(feature)).toEqual([]);
});

test("a feature of an installed package is refused, and gets no file", async () => {
  const installed = join(feature, "node_modules", "somebodys", "migrations");
  await mkdir(installed, { recursive: true });
  const applicationFile = join(feature, "insulae.config.ts");
  const features = [...standardFeatures, featureOf({ migrations: pathToFileURL(`${installed}/`) })];
  const application = { application: async () => defineApp({ features }), applicationFile };
  const contacts = features.find(({ name }) => name === "contacts")?.migrations;
  const before = contacts && (await readdir(contacts));
  for (const name of ["notes", "contacts"]) {
    await expect(newMigration(application, "x", { feature: name })).rejects.toMatchObject({
      code: "feature_of_package",
      exitCode: 2,
    });
  }
  expect(await readdir(installed)).toEqual([]);
  expect(contacts && (await readdir(contacts))).toEqual(before);
});

test("an application that can't be loaded yet is no dead end", async () => {
  const broken = {
    application: () => Promise.reject(new CommandError("application_not_loaded", "absent.ts")),
    applicationFile: join(feature, "insulae.config.ts"),
  };
  await expect(newMigration(broken, "x", { feature: "notes" })).rejects.toThrow(
    /absent\.ts\n.*--feature-dir/,
  );
  const made = await newMigration(broken, "x", { featureDir: feature });
  expect(made.text).toContain("is in the `features` of insulae.config.ts");
  expect(made.text).toContain("npx insulae migrate up");
});

const featureOf = ({ migrations }: { readonly migrations: URL }) =>
  defineFeature("notes", { migrations, tables: [] });
