/**
 * A round brings the target to a snapshot of the source: it reads the keys that were captured, then
 * the rows with these keys as they are in the same snapshot, and puts them in place in one transaction.
 *
 * Only the mover writes to the target, so after a round the target is exactly that snapshot. That is
 * why both ends can be compared while the tenant writes on.
 */
import { forgetChanges } from "./fence.ts";
import {
  beginSnapshot,
  type MoveEnd,
  type MoveEnds,
  type TenantRows,
  tableName,
  write,
} from "./move-ends.ts";
import { RowsDiffer } from "./move-errors.ts";
import type { MoveTable } from "./move-tables.ts";
import { deleteRows, insertRows, type Keys, readRows, sumRows } from "./rows.ts";

export interface RoundOptions {
  readonly tables: readonly MoveTable[];
  readonly there: ReadonlyMap<string, MoveTable>;
  /** Compare the rows that the round touches. */
  readonly compare?: boolean;
  /** Runs in parallel with the target's commit. */
  readonly alongside?: () => Promise<unknown>;
}

export interface Round {
  /** How many keys were captured. */
  readonly keys: number;
  readonly ms: number;
  /** Forgets these keys; to be called once the snapshot isn't needed any more. */
  end(): Promise<void>;
}

/** Rows that are read and written at once. */
const rowsAtOnce = 500;

/** Leaves the source's snapshot open until `end`. */
export async function runRound(ends: MoveEnds, options: RoundOptions): Promise<Round> {
  const { source, target } = ends;
  const began = performance.now();
  await beginSnapshot(source);
  try {
    const changes = await readChanges(source);
    const byTable = Map.groupBy(changes, ({ table }) => table);
    const apply = async () => {
      for (const table of options.tables) {
        const changed = byTable.get(table.name);
        if (changed) await applyChanges(ends, table, changed, options);
      }
    };
    await write(target, apply, options.alongside);
    const seqs = changes.flatMap((change) => change.seqs);
    return {
      keys: changes.length,
      ms: performance.now() - began,
      async end() {
        await source.rows.query("commit");
        if (seqs.length > 0) await forgetChanges(source, seqs);
      },
    };
  } catch (error) {
    await source.rows.query("rollback").catch(() => undefined);
    throw error;
  }
}

interface Change {
  readonly table: string;
  readonly key: readonly string[];
  readonly seqs: readonly string[];
}

async function readChanges({ rows: client, tenantId, place }: MoveEnd): Promise<readonly Change[]> {
  const { rows } = await client.query<Change>({
    name: "changes",
    text: `select tbl as table, array(select jsonb_array_elements_text(key)) as key,
        array_agg(seq)::text[] as seqs
      from app.move_changes where tenant_id = $1 and schema = $2 group by tbl, key`,
    values: [tenantId, place.schema],
  });
  return rows;
}

/** All of them are deleted before any is inserted: unique values may have changed places. */
async function applyChanges(
  { source, target }: MoveEnds,
  table: MoveTable,
  changes: readonly Change[],
  { there, compare }: RoundOptions,
): Promise<void> {
  const chunks = Array.from({ length: Math.ceil(changes.length / rowsAtOnce) }, (_, i) =>
    keysOf(table, changes.slice(i * rowsAtOnce, (i + 1) * rowsAtOnce)),
  );
  for (const keys of chunks) await deleteRows(target, table, keys);
  for (const keys of chunks) {
    await insertRows(
      target,
      table,
      there.get(table.name) ?? table,
      await readRows(source, table, keys),
    );
    if (!compare) continue;
    const [here, moved] = await Promise.all([
      sumRows(source, table, keys),
      sumRows(target, table, keys),
    ]);
    if (here.rows !== moved.rows || here.sum !== moved.sum) {
      throw new RowsDiffer(`Changed rows of ${table.name} differ after they were moved.`);
    }
  }
}

const keysOf = ({ key }: MoveTable, changes: readonly Change[]): Keys =>
  key.map((_, i) => changes.map((change) => change.key[i] ?? null));

/**
 * Runs the statements of a round without keys. A connection reads the catalogue of each table that it uses for
 * the first time, and no writer should wait for that.
 */
export async function warmUp(
  { source, target }: MoveEnds,
  { tables, there }: Pick<RoundOptions, "tables" | "there">,
): Promise<void> {
  await beginSnapshot(source);
  try {
    await write(target, async () => {
      for (const table of tables) {
        const none = table.key.map(() => []);
        await Promise.all([warmSource(source, table, none), warmTarget(target, table, none)]);
        await insertRows(target, table, there.get(table.name) ?? table, []);
      }
    });
  } finally {
    await source.rows.query("rollback");
  }
}

async function warmSource(source: MoveEnd, table: MoveTable, none: Keys): Promise<void> {
  await readRows(source, table, none);
  await sumRows(source, table, none);
}

async function warmTarget(target: MoveEnd, table: MoveTable, none: Keys): Promise<void> {
  // Without a key of its own, a table has one row, which stays.
  if (table.key.length > 0) await deleteRows(target, table, none);
  await sumRows(target, table, none);
}

export interface Verified {
  readonly tables: number;
  readonly rows: number;
  readonly ms: number;
}

/**
 * Compares counts and sums of every table. Both ends are in a transaction that reads the states to
 * compare.
 *
 * @throws RowsDiffer with the tables
 */
export async function compareAll(
  { source, target }: MoveEnds,
  tables: readonly MoveTable[],
): Promise<Verified> {
  const began = performance.now();
  const differing: string[] = [];
  let all = 0;
  for (const table of tables) {
    const [here, there] = await Promise.all([sumRows(source, table), sumRows(target, table)]);
    all += here.rows;
    if (here.rows !== there.rows || here.sum !== there.sum) {
      differing.push(`${table.name} (${here.rows} and ${there.rows} rows)`);
    }
  }
  if (differing.length > 0) {
    throw new RowsDiffer(`Source and target differ in ${differing.join(", ")}.`);
  }
  return { tables: tables.length, rows: all, ms: Math.round(performance.now() - began) };
}

/** How many rows the tenant has, for the progress of the copy. */
export async function countAll(source: TenantRows, tables: readonly MoveTable[]): Promise<number> {
  await beginSnapshot(source);
  try {
    let all = 0;
    for (const { name } of tables) {
      const { rows } = await source.rows.query<{ count: string }>(
        `select count(*) from ${tableName(source, name)} where tenant_id = $1`,
        [source.tenantId],
      );
      all += Number(rows[0]?.count);
    }
    return all;
  } finally {
    await source.rows.query("rollback");
  }
}
