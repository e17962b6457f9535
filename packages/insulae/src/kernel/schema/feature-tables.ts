/**
 * Checks that a data-plane schema has exactly the tables that the features list, and the
 * constraints that they name. Unlisted tables would be silently left behind when a tenant is moved
 * or restored, and a missing constraint would never become its error. A feature that refers to a
 * later one's table would fail in the next new schema.
 */
import type pg from "pg";
import { listTablesOf } from "./data-tables.ts";
import { constraintProblems } from "./feature-constraints.ts";
import { referenceProblems } from "./feature-references.ts";
import { type LedgerEntry, label, readLedger } from "./ledger.ts";
import type { Migrations } from "./migration-files.ts";

/** Thrown at boot; lists all differences at once. */
export class TablesDiffer extends Error {
  override readonly name = "TablesDiffer";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    const lines = problems.map((problem) => `\n  ${problem}`);
    super(`the database differs from the features' declarations:${lines.join("")}`);
    this.problems = problems;
  }
}

export interface TableFindings {
  /** Each with its remedy. */
  readonly problems: readonly string[];
  /**
   * Tables of features that this application neither loads nor calls retired, or of a newer version
   * of it. Not an error: during a rollout, an older version runs beside a newer one.
   */
  readonly unloaded: readonly string[];
}

/** @param client the owner, in the schemas' database, with all migrations applied */
export async function compareTables(
  client: pg.ClientBase,
  schemas: readonly string[],
  migrations: Migrations,
): Promise<TableFindings> {
  const tables = await listTablesOf(client, schemas);
  const found: TableFindings[] = [];
  for (const schema of schemas) {
    found.push(await compareSchema(client, schema, tables.get(schema) ?? [], migrations));
  }
  return {
    problems: found.flatMap(({ problems }) => problems),
    unloaded: found.flatMap(({ unloaded }) => unloaded),
  };
}

async function compareSchema(
  client: pg.ClientBase,
  schema: string,
  tables: readonly string[],
  migrations: Migrations,
): Promise<TableFindings> {
  const present = new Set(tables);
  const problems: string[] = [];
  const unloaded: string[] = [];
  for (const [table, feature] of migrations.tables) {
    if (present.has(table)) continue;
    problems.push(
      `the feature ${feature} lists the table ${table}, which the schema ${schema} does not have: ` +
        "add the migration that creates it, or remove it from the feature's `tables`",
    );
  }
  problems.push(...(await referenceProblems(client, schema, migrations)));
  const unlisted = [...present].filter((table) => !migrations.tables.has(table));
  const others = unlisted.length > 0 ? await findUnknown(client, schema, migrations) : [];
  const areRetired = others.every(({ set }) => migrations.retired.has(set));
  for (const table of unlisted) {
    const maker = makerOf(table, migrations);
    if (maker !== undefined) {
      problems.push(
        `the feature ${maker} creates the table ${schema}.${table} but does not list it: ` +
          `add "${table}" to the feature's \`tables\``,
      );
    } else if (others.length > 0) {
      if (!areRetired) unloaded.push(`${schema}.${table}`);
    } else {
      problems.push(
        `no feature creates or lists the table ${schema}.${table}: ` +
          "add it to the `tables` of the feature that it belongs to, or drop it",
      );
    }
  }
  return { problems, unloaded };
}

/**
 * Compares the tables, and the constraints that the features name.
 *
 * @returns the tables of features that are not loaded
 * @throws TablesDiffer
 */
export async function checkTables(
  client: pg.ClientBase,
  schema: string,
  migrations: Migrations,
): Promise<readonly string[]> {
  const { problems, unloaded } = await compareTables(client, [schema], migrations);
  const all = [...problems, ...(await wrongConstraints(client, schema, migrations))];
  if (all.length > 0) throw new TablesDiffer(all);
  return unloaded;
}

/**
 * A newer version may have dropped or renamed a constraint; the older one has to start beside it.
 */
async function wrongConstraints(
  client: pg.ClientBase,
  schema: string,
  migrations: Migrations,
): Promise<readonly string[]> {
  const wrong = await constraintProblems(client, schema, migrations);
  if (wrong.length === 0) return [];
  const newer = (await findUnknown(client, schema, migrations)).map(({ set }) => set);
  return wrong.filter(({ feature }) => !newer.includes(feature)).map(({ problem }) => problem);
}

/** The loaded feature whose migrations create the table, or make it a tenant table. */
function makerOf(table: string, { features }: Migrations): string | undefined {
  const statements =
    // Bounded: a file of the application's own, read once when it starts
    /\btenant_table\s*\(\s*'([^']+)'|\bcreate\s+table\s+(?:if\s+not\s+exists\s+)?"?(\w+)"?/gi;
  const makes = (up: string) =>
    [...up.matchAll(statements)].some(([, tenant, made]) => (tenant ?? made) === table);
  return features.find(({ migrations }) => migrations.some(({ up }) => makes(up)))?.name;
}

/** The schema's migrations that this application does not know. */
async function findUnknown(
  client: pg.ClientBase,
  schema: string,
  { features }: Migrations,
): Promise<readonly LedgerEntry[]> {
  const known = new Set(features.flatMap(({ migrations }) => migrations.map(label)));
  return (await readLedger(client, schema)).filter((entry) => !known.has(label(entry)));
}
