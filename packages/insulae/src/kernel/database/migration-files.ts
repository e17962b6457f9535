/**
 * Migrations are files `NNNN_name.sql` in a folder, numbered from 0001 without gaps. What follows a
 * line `-- down` takes the migration back. A file never changes once it has landed: its checksum is
 * in the ledger.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

export interface Migration {
  /** Whose it is: `app`, `control`, or a feature's name. */
  readonly set: string;
  readonly number: number;
  readonly name: string;
  readonly up: string;
  readonly down: string | undefined;
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
  /** The tables that they make. */
  readonly tables: readonly string[];
}

/** All migrations that this version of the application knows. */
export interface Migrations {
  /** The functions that every database needs. */
  readonly app: MigrationSet;
  /** The control plane; in the main database only. */
  readonly control: MigrationSet;
  /** The data plane, in the order in which the features have to be migrated. */
  readonly features: readonly MigrationSet[];
  /** Which feature lists which table: table → feature. */
  readonly tables: ReadonlyMap<string, string>;
  /** Names of features that the application no longer has; their tables stay. */
  readonly retired: ReadonlySet<string>;
  /** How many data-plane migrations there are: the version of an up-to-date placement. */
  readonly version: number;
  /** Names the data plane's contents: two versions with the same hash make the same tables. */
  readonly hash: string;
}

const ownFolder = (name: string) => new URL(`../../../migrations/${name}/`, import.meta.url);

/**
 * Reads the migrations of the kernel and of the features.
 *
 * @param retired names of features that the application no longer has.
 * @throws Error if a file or a dependency is not well formed; the message names it.
 */
export async function loadMigrations(
  sources: readonly MigrationSource[],
  retired: readonly string[] = [],
): Promise<Migrations> {
  const both = sources.find(({ name }) => retired.includes(name));
  if (both) throw new Error(`the feature ${both.name} is loaded: take it off \`retired\``);
  const read = async (name: string, folder: URL): Promise<MigrationSet> => ({
    name,
    migrations: await readMigrations(name, folder),
  });
  const [app, control, ...features] = await Promise.all([
    read("app", ownFolder("app")),
    read("control", ownFolder("control")),
    ...orderByDependencies(sources).flatMap(({ name, migrations }) =>
      migrations ? [read(name, migrations)] : [],
    ),
  ]);
  const dataPlane = [app, ...features].flatMap((set) => set.migrations);
  return {
    app,
    control,
    features,
    tables: tablesOf(sources),
    retired: new Set(retired),
    version: features.reduce((sum, set) => sum + set.migrations.length, 0),
    hash: checksumOf(dataPlane.map((m) => `${m.set}/${m.number}/${m.checksum}`).join("\n")),
  };
}

/** @throws Error if a table is listed twice */
function tablesOf(sources: readonly MigrationSource[]): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const { name, tables } of sources) {
    for (const table of tables) {
      const other = owners.get(table);
      if (other !== undefined) {
        throw new Error(`the features ${other} and ${name} both list the table ${table}`);
      }
      owners.set(table, name);
    }
  }
  return owners;
}

/** @throws Error for a name that isn't `NNNN_name.sql`, a number twice or missing, an empty file. */
export async function readMigrations(set: string, folder: URL): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort();
  return Promise.all(
    files.map(async (file, index) => {
      const where = fileURLToPath(new URL(file, folder));
      const [, digits, name] = /^([0-9]{4})_([a-z0-9_]+)\.sql$/.exec(file) ?? [];
      if (!digits || !name) throw new Error(`${where}: name migrations like 0001_contacts.sql`);
      if (Number(digits) !== index + 1) {
        const expected = String(index + 1).padStart(4, "0");
        throw new Error(`${where}: expected number ${expected}; numbers start at 0001, each once`);
      }
      return parseMigration(set, Number(digits), name, await readFile(where, "utf8"), where);
    }),
  );
}

function parseMigration(
  set: string,
  number: number,
  name: string,
  text: string,
  where: string,
): Migration {
  const normal = text.replaceAll("\r\n", "\n");
  const [up = "", down, ...more] = normal.split(/^--[ \t]*down[ \t]*$/m);
  if (more.length > 0) throw new Error(`${where}: "-- down" stands there more than once`);
  if (up.trim() === "") throw new Error(`${where}: there is nothing to migrate`);
  // Each migration is one transaction; ending it by hand would leave half of it behind.
  const control = /^[ \t]*(begin|start transaction|commit|rollback)[ \t]*;/im.exec(normal);
  if (control)
    throw new Error(`${where}: a migration is a transaction; take out "${control[0].trim()}"`);
  return {
    set,
    number,
    name,
    up,
    down: down?.trim() ? down : undefined,
    checksum: checksumOf(normal),
  };
}

/** What depends on nothing comes first; otherwise the order given is kept. */
export function orderByDependencies<Source extends Pick<MigrationSource, "name" | "dependsOn">>(
  sources: readonly Source[],
): readonly Source[] {
  const byName = new Map(sources.map((source) => [source.name, source]));
  if (byName.size < sources.length) throw new Error("two features have the same name");
  const ordered = new Set<Source>();
  const visit = (source: Source, path: readonly string[]): void => {
    if (ordered.has(source)) return;
    const way = [...path, source.name];
    if (path.includes(source.name))
      throw new Error(`features depend on each other: ${way.join(" → ")}`);
    for (const name of source.dependsOn) {
      const dependency = byName.get(name);
      if (!dependency)
        throw new Error(`feature ${source.name} depends on ${name}, which is not there`);
      visit(dependency, way);
    }
    ordered.add(source);
  };
  for (const source of sources) visit(source, []);
  return [...ordered];
}

const checksumOf = (text: string): string => createHash("sha256").update(text).digest("hex");
