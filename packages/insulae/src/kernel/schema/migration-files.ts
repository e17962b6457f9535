/**
 * Migrations are files `NNNN_name.sql` in a folder, numbered from 0001 without gaps. The part after
 * a line `-- down` reverts the migration. Once applied, a file never changes: its checksum is in
 * the ledger.
 *
 * All problems with the files are reported at once, before anything is migrated.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { collecting, DeclarationError, hint, refuse } from "../lib/declaration-error.ts";
import { featureNameProblems } from "../lib/feature-names.ts";
import { firstWordsOf } from "./sql-statements.ts";

export interface Migration {
  /** The owner: `app`, `control`, or a feature's name. */
  readonly set: string;
  readonly number: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
  readonly checksum: string;
}

export interface MigrationSet {
  readonly name: string;
  readonly migrations: readonly Migration[];
}

/** Where a feature's migrations are; a `Feature` is one. */
export interface MigrationSource {
  readonly name: string;
  readonly dependsOn: readonly string[];
  readonly migrations: URL | undefined;
  /** The tables that they create. */
  readonly tables: readonly string[];
  /** Errors by the names of constraints of these tables. */
  readonly constraints?: Readonly<Record<string, unknown>>;
}

/** All migrations of this version of the application. */
export interface Migrations {
  /** The functions that every database needs. */
  readonly app: MigrationSet;
  /** The control plane, in the main database only. */
  readonly control: MigrationSet;
  /** The data plane, in the order of the features' dependencies. */
  readonly features: readonly MigrationSet[];
  /** The feature of each table. */
  readonly tables: ReadonlyMap<string, string>;
  /** The feature of each named constraint. */
  readonly constraints: ReadonlyMap<string, string>;
  /** Features that the application no longer has; their tables stay. */
  readonly retired: ReadonlySet<string>;
  /** The number of data-plane migrations: the version of an up-to-date placement. */
  readonly version: number;
  /** A hash of the data plane's migrations: equal hashes create equal tables. */
  readonly hash: string;
}

const ownFolder = (name: string) => new URL(`../../../migrations/${name}/`, import.meta.url);

/**
 * Reads the migrations of the kernel and of the features.
 *
 * @param retired names of features that the application no longer has
 * @throws DeclarationError listing all malformed files, tables and dependencies
 */
export async function loadMigrations(
  sources: readonly MigrationSource[],
  retired: readonly string[] = [],
): Promise<Migrations> {
  const problems = sources
    .filter(({ name }) => retired.includes(name))
    .map(({ name }) => `the feature ${name} is loaded: remove it from \`retired\``);
  const ordered = await collecting(problems, () => orderByDependencies(sources));
  const tables = await collecting(problems, () => tablesOf(sources));
  const wrongFiles = new Map<string, string[]>();
  const read = async (name: string, folder: URL): Promise<MigrationSet> => {
    const wrong: string[] = [];
    wrongFiles.set(name, wrong); // in the order of the features, whichever is read first
    return {
      name,
      migrations: (await collecting(wrong, () => readMigrations(name, folder))) ?? [],
    };
  };
  const [app, control, ...features] = await Promise.all([
    read("app", ownFolder("app")),
    read("control", ownFolder("control")),
    ...(ordered ?? sources).flatMap(({ name, migrations }) =>
      migrations ? [read(name, migrations)] : [],
    ),
  ]);
  refuse([...problems, ...[...wrongFiles.values()].flat()]);
  const dataPlane = [app, ...features].flatMap((set) => set.migrations);
  return {
    app,
    control,
    features,
    tables: tables ?? new Map(),
    constraints: new Map(
      sources.flatMap(({ name, constraints = {} }) =>
        Object.keys(constraints).map((constraint) => [constraint, name]),
      ),
    ),
    retired: new Set(retired),
    version: features.reduce((sum, set) => sum + set.migrations.length, 0),
    hash: checksumOf(dataPlane.map((m) => `${m.set}/${m.number}/${m.checksum}`).join("\n")),
  };
}

/** @throws DeclarationError if a table is listed twice */
function tablesOf(sources: readonly MigrationSource[]): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  const problems: string[] = [];
  for (const { name, tables } of sources) {
    for (const table of tables) {
      const other = owners.get(table);
      if (other === name) problems.push(`the feature ${name} lists the table ${table} twice`);
      else if (other !== undefined)
        problems.push(`the features ${other} and ${name} both list the table ${table}`);
      owners.set(table, name);
    }
  }
  refuse(problems);
  return owners;
}

/**
 * @param set the feature's name
 * @throws DeclarationError for a file name other than `NNNN_name.sql`, a duplicate or missing
 * number, a file without statements or without a `-- down` part, and a missing or empty folder
 */
export async function readMigrations(set: string, folder: URL): Promise<readonly Migration[]> {
  const path = fileURLToPath(folder).replace(/[/\\]$/, "");
  const files = await listFiles(set, path);
  const problems: string[] = [];
  const migrations: Migration[] = [];
  for (const [index, file] of files.entries()) {
    const refusal = nameProblem(file, files, index);
    if (refusal !== undefined) {
      problems.push(`${set}: ${path}/${file}: ${refusal}`);
      continue;
    }
    const migration = await collecting(problems, () => readMigration(set, path, file));
    if (migration) migrations.push(migration);
  }
  refuse(problems);
  return migrations;
}

/**
 * Ignores files for people (`README.md`) and those of editors and systems (`.#0001_notes.sql`,
 * `._0001_notes.sql`, `0001_notes.sql~`), but nothing that is meant as a migration.
 */
async function listFiles(set: string, path: string): Promise<readonly string[]> {
  const entries = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "ENOENT" ? "the folder does not exist" : error.message;
    throw new DeclarationError([
      `${set}: migrations: ${path}: ${why}; name the folder of the feature's migrations`,
    ]);
  });
  const files = entries
    .filter((name) => !/^[.#]|~$/.test(name))
    .filter((name) => /\.sql$/i.test(name) || /^\d+_/.test(name))
    .sort();
  if (files.length === 0)
    refuse([
      `${set}: migrations: ${path}: it contains no migration; add one such as 0001_${set.replaceAll("-", "_")}.sql, or leave \`migrations\` out`,
    ]);
  return files;
}

const fileName = /^([0-9]{4})_([a-z0-9_]+)\.sql$/;

function nameProblem(file: string, files: readonly string[], index: number): string | undefined {
  const numberOf = (name: string | undefined) => fileName.exec(name ?? "")?.[1];
  const digits = numberOf(file);
  if (digits === undefined) return "name migrations like 0001_contacts.sql";
  // Gaps can only be detected once all files have valid names.
  if (files.some((name) => numberOf(name) === undefined)) return undefined;
  const last = files[index - 1];
  if (numberOf(last) === digits) return `${last} also has the number ${digits}; use the next one`;
  const next = last === undefined ? 1 : Number(numberOf(last)) + 1;
  if (Number(digits) === next) return undefined;
  return `expected number ${String(next).padStart(4, "0")}; numbers start at 0001, without gaps`;
}

async function readMigration(set: string, path: string, file: string): Promise<Migration> {
  const where = `${set}: ${path}/${file}`;
  const [, digits = "", name = ""] = fileName.exec(file) ?? [];
  const bytes = await readFile(`${path}/${file}`).catch((error: Error) => {
    throw new DeclarationError([`${where}: it cannot be read (${error.message})`]);
  });
  const text = textOf(bytes);
  if (text === undefined) throw new DeclarationError([`${where}: it is not UTF-8 text`]);
  return parseMigration(set, Number(digits), name, text, where);
}

/** Undefined if the bytes are not UTF-8 text. */
function textOf(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.includes("\0") ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Statements that would end a migration's transaction, or begin one in it. */
const transactionControl =
  /^(begin|commit|rollback|end|abort|savepoint|release)\b|^(start|prepare) transaction$/;

function parseMigration(
  set: string,
  number: number,
  name: string,
  text: string,
  where: string,
): Migration {
  const normal = text.replaceAll("\r\n", "\n");
  const [up = "", down = "", ...more] = normal.split(/^--[ \t]*down[ \t]*$/m);
  const upStatements = firstWordsOf(up);
  const isEmpty = upStatements.length === 0;
  // Each migration is one transaction; ending it early could leave half of it applied.
  const control = [...upStatements, ...firstWordsOf(down)]
    .map((words) => words.join(" "))
    .find((words) => transactionControl.test(words));
  const problems = [
    ...(more.length > 0 ? ['it has more than one "-- down" line'] : []),
    ...(isEmpty ? ['it has no statements: write them above the line "-- down"'] : []),
    // Of an empty file, one problem is enough.
    ...(down.trim() === "" && !isEmpty
      ? [
          'it has no "-- down" part: after a line "-- down", write the SQL that reverts it, or a comment that says why nothing can',
        ]
      : []),
    ...(control ? [`a migration runs in a transaction; remove "${control}"`] : []),
  ];
  refuse(problems.map((problem) => `${where}: ${problem}`));
  return { set, number, name, up, down, checksum: checksumOf(normal) };
}

/**
 * Sorts dependencies first, otherwise keeping the order.
 *
 * @throws DeclarationError for duplicate names, cycles and unknown dependencies
 */
export function orderByDependencies<
  Source extends Pick<MigrationSource, "name" | "dependsOn" | "migrations">,
>(sources: readonly Source[]): readonly Source[] {
  refuse(featureNameProblems(sources));
  const byName = new Map(sources.map((source) => [source.name, source]));
  const ordered = new Set<Source>();
  const problems: string[] = [];
  const visit = (source: Source, path: readonly string[]): void => {
    if (ordered.has(source)) return;
    if (path.includes(source.name)) {
      problems.push(`features depend on each other: ${[...path, source.name].join(" → ")}`);
      return;
    }
    for (const name of source.dependsOn) {
      const dependency = byName.get(name);
      if (dependency) visit(dependency, [...path, source.name]);
      else
        problems.push(
          `feature ${source.name} depends on ${name}, which does not exist${hint(name, byName.keys())}`,
        );
    }
    ordered.add(source);
  };
  for (const source of sources) visit(source, []);
  refuse(problems);
  return [...ordered];
}

const checksumOf = (text: string): string => createHash("sha256").update(text).digest("hex");
