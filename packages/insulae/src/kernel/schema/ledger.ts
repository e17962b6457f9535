/**
 * The ledger, `app.migrations`: the migrations that were applied to each schema of a database.
 * `planOf` compares it with this version's files.
 */
import type pg from "pg";
import type { Migration, MigrationSet } from "./migration-files.ts";

export interface LedgerEntry {
  readonly set: string;
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

export interface MigrationPlan {
  readonly applied: readonly LedgerEntry[];
  readonly pending: readonly Migration[];
  /** In the ledger but not among the files: from a newer version of the application. */
  readonly unknown: readonly LedgerEntry[];
  /** Features in the ledger that this application doesn't load. */
  readonly foreign: readonly string[];
}

/** A refused migration: it would leave, or has left, the database in an unknown state. */
export class MigrationRefused extends Error {
  override readonly name = "MigrationRefused";
}

/** Creates the schema and the ledger if missing; the role must be the owner. */
export const createLedger = `
  create schema if not exists app authorization insulae_owner;
  create table if not exists app.migrations (
    schema text not null,
    set text not null,
    number integer not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp(),
    primary key (schema, set, number)
  )`;

export const readLedger = async (
  client: pg.ClientBase,
  schema: string,
): Promise<readonly LedgerEntry[]> => (await readLedgers(client, [schema])).get(schema) ?? [];

/**
 * By schema, without those that have no migrations. Two statements, however many schemas there are.
 */
export async function readLedgers(
  client: pg.ClientBase,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, readonly LedgerEntry[]>> {
  // Before the first migration there is no ledger.
  const { rows } = await client.query<{ exists: boolean }>(
    "select to_regclass('app.migrations') is not null as exists",
  );
  if (!rows[0]?.exists) return new Map();
  const ledger = await client.query<LedgerEntry & { schema: string }>(
    `select schema, set, number, name, checksum from app.migrations
     where schema = any($1) order by applied_at`,
    [schemas],
  );
  return Map.groupBy(ledger.rows, ({ schema }) => schema);
}

export async function writeLedger(
  client: pg.ClientBase,
  schema: string,
  migration: Migration,
): Promise<void> {
  await client.query(
    "insert into app.migrations (schema, set, number, name, checksum) values ($1, $2, $3, $4, $5)",
    [schema, migration.set, migration.number, migration.name, migration.checksum],
  );
}

export async function strikeLedger(
  client: pg.ClientBase,
  schema: string,
  { set, number }: LedgerEntry,
): Promise<void> {
  await client.query("delete from app.migrations where schema = $1 and set = $2 and number = $3", [
    schema,
    set,
    number,
  ]);
}

/**
 * @throws MigrationRefused if an applied migration's file was changed, or one was inserted before
 * it
 */
export function planOf(
  sets: readonly MigrationSet[],
  ledger: readonly LedgerEntry[],
): MigrationPlan {
  const problems: string[] = [];
  const pending: Migration[] = [];
  for (const set of sets) {
    const landed = new Map(ledger.filter((e) => e.set === set.name).map((e) => [e.number, e]));
    const last = Math.max(0, ...landed.keys());
    for (const migration of set.migrations) {
      const entry = landed.get(migration.number);
      const after = landed.get(last);
      if (!entry && after && migration.number < last)
        problems.push(insertedBefore(migration, after));
      else if (!entry) pending.push(migration);
      else if (entry.name !== migration.name) {
        problems.push(`${label(migration)} was applied as ${entry.name}; restore that name`);
      } else if (entry.checksum !== migration.checksum) {
        problems.push(
          `${label(migration)} was changed after it was applied; put the change in a new migration, or, during development, revert it first: insulae migrate down --feature ${migration.set} --all`,
        );
      }
    }
  }
  if (problems.length > 0) throw new MigrationRefused(problems.join("\n"));

  const known = new Set(sets.flatMap((set) => set.migrations.map(label)));
  const names = new Set(sets.map((set) => set.name));
  const own = ledger.filter((entry) => names.has(entry.set));
  const others = ledger.map(({ set }) => set).filter((set) => !names.has(set));
  return {
    foreign: [...new Set(others)],
    applied: own.filter((e) => known.has(label(e))),
    pending,
    unknown: own.filter((e) => !known.has(label(e))),
  };
}

const insertedBefore = (migration: Migration, after: LedgerEntry): string =>
  `${label(migration)} is not applied, but ${label(after)} is, which comes after it. If ${label(migration)} is new, give it the number ${String(after.number + 1).padStart(4, "0")}. If it was reverted, revert ${label(after)} too, with its file: insulae migrate down --feature ${after.set} --all`;

/** How many of the features' migrations a placement has, including those of a newer version. */
export const versionOf = ({ applied, unknown }: MigrationPlan): number =>
  applied.length + unknown.length;

/**
 * The ledger's entries that can be reverted; during development the files may have changed since.
 */
export const landedOf = (
  sets: readonly MigrationSet[],
  ledger: readonly LedgerEntry[],
): readonly LedgerEntry[] => {
  const known = new Set(sets.flatMap((set) => set.migrations.map(place)));
  return ledger.filter((entry) => known.has(place(entry)));
};

/** Identifies a migration regardless of its name. */
export const place = ({ set, number }: Pick<LedgerEntry, "set" | "number">): string =>
  `${set}/${number}`;

export const label = (m: Pick<LedgerEntry, "set" | "number" | "name">): string =>
  `${m.set}/${String(m.number).padStart(4, "0")}_${m.name}`;
