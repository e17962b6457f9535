import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { readMigrations } from "../kernel/database/migration-files.ts";
import { newMigration } from "./migrate-new.ts";

// Shows S2-028, S1-155
test("numbers go on from the last one, and the migrator takes what was made", async () => {
  const feature = await mkdtemp(join(tmpdir(), "insulae-feature-"));
  try {
    await newMigration("Add VAT-id", feature);
    await newMigration("second", join(feature, "migrations"));
    const folder = join(feature, "migrations");
    const files = ["0001_add_vat_id.sql", "0002_second.sql"].map((name) => join(folder, name));
    // As it is made there is nothing in it, and nobody migrates by mistake.
    await expect(readMigrations("contacts", pathToFileURL(`${folder}/`))).rejects.toThrow(
      "nothing to migrate",
    );
    for (const file of files) {
      await writeFile(file, `select 1;\n${await readFile(file, "utf8")}select 2;\n`);
    }
    const migrations = await readMigrations("contacts", pathToFileURL(`${folder}/`));
    expect(migrations.map(({ number, name }) => [number, name])).toEqual([
      [1, "add_vat_id"],
      [2, "second"],
    ]);
    expect(await readFile(join(folder, "0002_second.sql"), "utf8")).toMatch(/^-- down$/m);
    await expect(newMigration("../x", feature)).rejects.toMatchObject({ exitCode: 2 });
  } finally {
    await rm(feature, { recursive: true });
  }
});
