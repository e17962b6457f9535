import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Application } from "../app/app-api.ts";
import type { CommandContext, Result } from "./command.ts";
import { CommandError, exitCodes } from "./failure.ts";

export interface NewMigrationOptions {
  /** One of the application's features that has migrations. */
  readonly feature?: string;
  /** For a feature without migrations: its folder, or the `migrations` folder in it. */
  readonly featureDir?: string;
}

/**
 * Creates a feature's next migration file.
 *
 * @param name what it does, such as `add_vat_id`; spaces and dashes become underscores
 */
export async function newMigration(
  { application }: Pick<CommandContext, "application">,
  name: string,
  { feature, featureDir }: NewMigrationOptions,
): Promise<Result> {
  if ((feature === undefined) === (featureDir === undefined)) {
    const message =
      "Give the feature: --feature <name>, or --feature-dir <folder> for its first migration.";
    throw new CommandError("usage", message, exitCodes.usage);
  }
  const words = name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s-]+/g, "_");
  if (!/^[a-z0-9_]+$/.test(words)) {
    const message = `"${name}" is not a valid name. Use letters, digits and underscores.`;
    throw new CommandError("name_invalid", message, exitCodes.usage);
  }
  const migrations =
    feature === undefined
      ? await folderIn(featureDir ?? "")
      : folderOf(await application(), feature);
  const number = String((await lastNumber(migrations)) + 1).padStart(4, "0");
  const file = join(migrations, `${number}_${words}.sql`);
  await writeFile(file, contentOf(words), { flag: "wx" });
  return {
    document: { file, number: Number(number) },
    text: `${file}\nEdit it, then run: insulae migrate up`,
  };
}

async function folderIn(featureDir: string): Promise<string> {
  const given = resolve(featureDir);
  const folder = basename(given) === "migrations" ? dirname(given) : given;
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new CommandError("folder_not_found", `There is no folder ${folder}.`, exitCodes.usage);
  }
  const migrations = join(folder, "migrations");
  await mkdir(migrations, { recursive: true });
  return migrations;
}

function folderOf({ features }: Application, name: string): string {
  const migrations = features.find((feature) => feature.name === name)?.migrations;
  if (migrations) return fileURLToPath(migrations);
  const known = features.filter((feature) => feature.migrations).map((feature) => feature.name);
  throw new CommandError(
    "feature_not_found",
    `The application has no feature ${name} with migrations; it has ${known.join(", ")}. For its first migration use --feature-dir <folder>.`,
    exitCodes.usage,
  );
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
