/**
 * Reads rows as text and puts them in place: `insert … select c0::uuid, c1::numeric … from unnest(…)`.
 * PostgreSQL's own text form keeps every value, and no other program's idea of it is in between.
 */
import pg from "pg";
import type { MoveEnd } from "./move-ends.ts";
import { asText, tableName } from "./move-ends.ts";
import type { Column, MoveTable } from "./move-tables.ts";

export type TextRow = readonly (string | null)[];

/** Keys of a table: one array for each column of the key. */
export type Keys = readonly (readonly (string | null)[])[];

export const columnList = (columns: readonly Column[], prefix = ""): string =>
  columns.map(({ name }) => `${prefix}${pg.escapeIdentifier(name)}`).join(", ");

const statementName = (what: string, table: string): string => `${what} ${table}`.slice(0, 63);

export async function insertRows(
  target: MoveEnd,
  table: MoveTable,
  there: MoveTable,
  rows: readonly TextRow[],
): Promise<void> {
  const { columns } = table;
  const types = new Map(there.columns.map(({ name, type }) => [name, type]));
  const values = columns.map(({ name }, i) => `c${i}::${types.get(name)}`).join(", ");
  const arrays = columns.map((_, i) => `$${i + 1}::text[]`).join(", ");
  const names = columns.map((_, i) => `c${i}`).join(", ");
  await target.rows.query({
    name: statementName("insert", table.name),
    text: `insert into ${tableName(target, table.name)} (${columnList(columns)})
      overriding system value
      select ${values} from unnest(${arrays}) as u (${names})`,
    values: columns.map((_, i) => rows.map((row) => row[i])),
  });
}

/**
 * The tenant's rows `x`, or those with these keys. The arrays are cast, not their elements: under
 * Row-Level Security a condition with a cast of an element uses no index.
 */
function rowsOf(end: MoveEnd, { name, key }: MoveTable, keyed: boolean, join = ","): string {
  const own = `${tableName(end, name)} x`;
  if (!keyed || key.length === 0) return `${own} where x.tenant_id = $1`;
  const arrays = key.map(({ type }, i) => `$${i + 2}::${type}[]`).join(", ");
  const names = key.map((_, i) => `k${i}`).join(", ");
  const conditions = key.map((each, i) => `x.${pg.escapeIdentifier(each.name)} = u.k${i}`);
  return `${own} ${join} unnest(${arrays}) as u (${names})
    where x.tenant_id = $1 and ${conditions.join(" and ")}`;
}

/** @param keys without duplicates */
export async function readRows(
  source: MoveEnd,
  table: MoveTable,
  keys: Keys,
): Promise<readonly TextRow[]> {
  const { rows } = await source.rows.query<(string | null)[]>({
    name: statementName("read", table.name),
    text: `select ${columnList(table.columns, "x.")} from ${rowsOf(source, table, true)}`,
    values: [source.tenantId, ...keys],
    rowMode: "array",
    types: asText,
  });
  return rows;
}

export async function deleteRows(target: MoveEnd, table: MoveTable, keys: Keys): Promise<void> {
  await target.rows.query({
    name: statementName("delete", table.name),
    text: `delete from ${rowsOf(target, table, true, "using")}`,
    values: [target.tenantId, ...keys],
  });
}

/** A count and a sum over rows. md5, because it is the same in every version of PostgreSQL. */
export interface Sum {
  readonly rows: number;
  readonly sum: string;
}

/**
 * @param table its columns in the order of the source's, at both ends
 * @param keys without duplicates; default: all rows
 */
export async function sumRows(end: MoveEnd, table: MoveTable, keys?: Keys): Promise<Sum> {
  const { rows } = await end.rows.query<{ rows: string; sum: string }>({
    name: statementName(keys ? "sum" : "sum all", table.name),
    text: `select count(*) as rows,
        coalesce(sum(('x' || left(md5(r::text), 16))::bit(64)::bigint::numeric), 0)::text as sum
      from (
        select ${columnList(table.columns, "x.")} from ${rowsOf(end, table, keys !== undefined)}) r`,
    values: [end.tenantId, ...(keys ?? [])],
  });
  return { rows: Number(rows[0]?.rows), sum: String(rows[0]?.sum) };
}
