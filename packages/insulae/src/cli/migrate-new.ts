import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError, exitCodes } from "../doctor/failure.ts";
import type { CommandContext, Result } from "./command.ts";

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
  context: Context,
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
    feature === undefined ? await folderIn(featureDir ?? "") : await folderOf(context, feature);
  const number = String((await lastNumber(migrations)) + 1).padStart(4, "0");
  const file = join(migrations, `${number}_${words}.sql`);
  await writeFile(file, contentOf(words), { flag: "wx" });
  return {
    document: { file, number: Number(number) },
    text: `${file}\n${feature === undefined ? nextOfFolder : nextOfFeature}`,
  };
}

const nextOfFeature = "Edit it, then run: npx insulae migrate up";
const nextOfFolder =
  "Edit it, see that the feature names this folder in `migrations` and is in the `features` of insulae.config.ts, then run: npx insulae migrate up";

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

type Context = Pick<CommandContext, "application" | "applicationFile">;

async function folderOf({ application, applicationFile }: Context, name: string): Promise<string> {
  const { features } = await application().catch(adviseFolder);
  const withMigrations = features.flatMap(({ name: known, migrations }) =>
    migrations ? [{ known, folder: fileURLToPath(migrations) }] : [],
  );
  const found = withMigrations.find(({ known }) => known === name);
  if (found && !isInPackage(found.folder, applicationFile)) return found.folder;
  const own = withMigrations
    .filter(({ folder }) => !isInPackage(folder, applicationFile))
    .map(({ known }) => known);
  const yours = own.length === 0 ? "none of your own" : own.join(", ");
  if (found) {
    throw new CommandError(
      "feature_of_package",
      `The feature ${name} is in an installed package (${found.folder}), where your migration would be lost with the next installation. Name a feature of your own (there is ${yours}), or use --feature-dir <folder> for a new one.`,
      exitCodes.usage,
    );
  }
  throw new CommandError(
    "feature_not_found",
    `The application has no feature ${name} with migrations; it has ${yours}. For its first migration use --feature-dir <folder>.`,
    exitCodes.usage,
  );
}

/** Insulae's own features are somebody else's as well, unless this is Insulae itself. */
const isInPackage = (folder: string, applicationFile: string | undefined): boolean =>
  folder.split(sep).includes("node_modules") ||
  (applicationFile !== undefined && folder.startsWith(ownCode));

const ownCode = fileURLToPath(new URL("..", import.meta.url));

function adviseFolder(error: unknown): never {
  if (!(error instanceof CommandError)) throw error;
  const advice =
    "To create a migration before the application can be loaded, use --feature-dir <folder> in place of --feature.";
  throw new CommandError(error.code, `${error.message}\n${advice}`, error.exitCode);
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
