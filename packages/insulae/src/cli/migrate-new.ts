import { mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { Result } from "./command.ts";
import { CommandError, exitCodes } from "./failure.ts";

/**
 * Makes the feature's next migration.
 *
 * @param name what it does: `add_vat_id`; spaces and dashes become underscores.
 * @param featureDir the feature's folder, or its `migrations` folder.
 */
export async function newMigration(name: string, featureDir: string): Promise<Result> {
  const words = name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s-]+/g, "_");
  if (!/^[a-z0-9_]+$/.test(words)) {
    const message = `"${name}" is no name for a file: use letters, digits and underscores.`;
    throw new CommandError("name_invalid", message, exitCodes.usage);
  }
  const folder = resolve(featureDir);
  const migrations = basename(folder) === "migrations" ? folder : join(folder, "migrations");
  await mkdir(migrations, { recursive: true });
  const number = String((await lastNumber(migrations)) + 1).padStart(4, "0");
  const file = join(migrations, `${number}_${words}.sql`);
  await writeFile(file, contentOf(words), { flag: "wx" });
  return {
    document: { file, number: Number(number) },
    text: `${file}\nWrite it, then: insulae migrate up`,
  };
}

async function lastNumber(folder: string): Promise<number> {
  const numbers = (await readdir(folder)).map((file) => /^(\d{4})_.*\.sql$/.exec(file)?.[1]);
  return Math.max(0, ...numbers.map((digits) => Number(digits ?? 0)));
}

const contentOf = (words: string): string => `-- ${words.replaceAll("_", " ")}
--
-- Plain SQL about the feature's own columns; it runs in one transaction, once for each placement.
--   create table things (id uuid primary key default app.uuid_v7(), name text not null);
--   select app.tenant_table('things');

-- down
`;
