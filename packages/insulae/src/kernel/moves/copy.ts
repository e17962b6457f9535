/**
 * Copies the tenant's rows while it writes on. Each table is read as it is when its turn comes: what is
 * written after that was captured and comes with the next round.
 */
import type pg from "pg";
import {
  asOwner,
  asText,
  beginSnapshot,
  type MoveEnd,
  type MoveEnds,
  tableName,
  write,
} from "./move-ends.ts";
import type { MoveTable } from "./move-tables.ts";
import { columnList, insertRows, type TextRow } from "./rows.ts";

export interface CopyOptions {
  readonly tables: readonly MoveTable[];
  /** The same tables as the target has them. */
  readonly there: ReadonlyMap<string, MoveTable>;
  /** Throws to stop. */
  readonly check: () => void;
  readonly onRows: (rows: number, table: string) => void;
}

/** Copies all tables to a target that has none of the tenant's rows. */
export async function copyTables(ends: MoveEnds, options: CopyOptions): Promise<void> {
  const { source, target } = ends;
  const together =
    source.place.serverId === target.place.serverId &&
    source.place.database === target.place.database;
  for (const table of options.tables) {
    options.check();
    await (together ? copyWithin(ends, table, options) : copyBetween(ends, table, options));
    await advanceSequences(ends, table);
    await analyze(target, table);
  }
}

/** Within a database the rows never leave it. */
async function copyWithin(
  { source, target }: MoveEnds,
  { name, columns }: MoveTable,
  { there, onRows }: CopyOptions,
): Promise<void> {
  const types = new Map(there.get(name)?.columns.map((each) => [each.name, each.type]));
  const values = columns.map((column) => {
    const own = columnList([column]);
    const type = types.get(column.name);
    // Each schema has its own enumerations.
    return type === column.type ? own : `${own}::text::${type}`;
  });
  const { rowCount } = await write(target, () =>
    target.rows.query(
      `insert into ${tableName(target, name)} (${columnList(columns)})
       overriding system value
       select ${values.join(", ")} from ${tableName(source, name)} where tenant_id = $1`,
      [target.tenantId],
    ),
  );
  onRows(rowCount ?? 0, name);
}

/** Read at once; a batch is to have about a megabyte, whether rows are short or long. */
const batch = { first: 100, most: 2_000, bytes: 1_000_000 } as const;

async function copyBetween(
  { source, target }: MoveEnds,
  table: MoveTable,
  { there, check, onRows }: CopyOptions,
): Promise<void> {
  const own = there.get(table.name) ?? table;
  await beginSnapshot(source);
  try {
    await source.rows.query(
      `declare rows_to_move no scroll cursor for
       select ${columnList(table.columns)} from ${tableName(source, table.name)}
       where tenant_id = '${source.tenantId}'`,
    );
    let next = fetch(source.rows, batch.first);
    for (let size: number = batch.first; ; ) {
      check();
      const rows = await next;
      if (rows.length === 0) break;
      size = sizeAfter(rows, size);
      // The source reads on while the target writes.
      next = fetch(source.rows, size);
      next.catch(() => undefined);
      await write(target, () => insertRows(target, table, own, rows));
      onRows(rows.length, table.name);
    }
  } finally {
    await source.rows.query("rollback").catch(() => undefined);
  }
}

const fetch = async (client: pg.Client, count: number): Promise<readonly TextRow[]> => {
  const { rows } = await client.query<(string | null)[]>({
    text: `fetch ${count} from rows_to_move`,
    rowMode: "array",
    types: asText,
  });
  return rows;
};

function sizeAfter(rows: readonly TextRow[], size: number): number {
  let bytes = 1;
  for (const row of rows) for (const value of row) bytes += value?.length ?? 0;
  const fitting = Math.floor((rows.length * batch.bytes) / bytes);
  return Math.max(1, Math.min(fitting, size * 2, batch.most));
}

/** Without statistics the first round on a new table took 41 s, with them 0.2 s. */
async function analyze(target: MoveEnd, { name }: MoveTable): Promise<void> {
  if (target.place.isolation === "pool") return;
  await write(target, () => target.rows.query(`analyze ${tableName(target, name)}`));
}

/**
 * Takes numbers from the target's sequences until they are past the source's. Not `setval`: another
 * tenant of a pool may take numbers at the same time, and would get one twice.
 */
export async function advanceSequences(
  { source, target }: MoveEnds,
  { sequences }: MoveTable,
): Promise<void> {
  for (const name of sequences) {
    const last = await lastNumber(source, name);
    const behind = last - (await lastNumber(target, name));
    if (behind <= 0n) continue;
    await write(target, () =>
      target.rows.query("select count(nextval($1)) from generate_series(1, $2::bigint)", [
        tableName(target, name),
        String(behind),
      ]),
    );
  }
}

async function lastNumber(end: MoveEnd, sequence: string): Promise<bigint> {
  const { rows } = await asOwner(end, () =>
    end.fence.query<{ last: string }>(
      `select last_value::text as last from ${tableName(end, sequence)} where is_called`,
    ),
  );
  return BigInt(rows[0]?.last ?? 0);
}
