/** The tables that move with a tenant, as the catalogue of the database has them. */
import type pg from "pg";
import { listDataTables } from "../schema/data-tables.ts";
import { MoveRefused } from "./move-errors.ts";

export interface MoveTable {
  readonly name: string;
  /** Stored columns: generated ones are computed again at the target. */
  readonly columns: readonly Column[];
  /** The primary key's columns without `tenant_id`, in the order of the captured keys. */
  readonly key: readonly Column[];
  /** Whether it has one that leads with `tenant_id`; else its changes can't be followed. */
  readonly hasKey: boolean;
  /** The sequences that its columns own. */
  readonly sequences: readonly string[];
}

export interface Column {
  readonly name: string;
  /** As SQL writes it at the place where the table was read. */
  readonly type: string;
}

interface Row {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[] | null;
  readonly sequences: readonly string[];
}

/** All tables of a data-plane schema, by name. */
export async function findMoveTables(
  client: pg.ClientBase,
  schema: string,
): Promise<readonly MoveTable[]> {
  const names = await listDataTables(client, schema);
  const { rows } = await client.query<Row>(
    `select c.relname as name,
       (select jsonb_agg(jsonb_build_object('name', attname,
            'type', format_type(atttypid, atttypmod)) order by attnum)
        from pg_attribute
        where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns,
       (select array_agg(attname::text order by k.position)
        from pg_index i
        cross join unnest(i.indkey::smallint[]) with ordinality as k (number, position)
        join pg_attribute a on attrelid = c.oid and attnum = k.number
        where i.indrelid = c.oid and i.indisprimary) as key,
       array(select s.relname::text
        from pg_depend d
        join pg_class s on s.oid = d.objid and s.relkind = 'S'
        where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
          and d.refobjid = c.oid and d.deptype in ('a', 'i')
        order by 1) as sequences
     from pg_class c
     join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
     where c.relname = any ($2)
     order by c.relname`,
    [schema, names],
  );
  return rows.map(({ key, ...table }) => ({
    ...table,
    hasKey: key?.[0] === "tenant_id",
    key: (key ?? []).slice(1).flatMap((name) => table.columns.filter((each) => each.name === name)),
  }));
}

/**
 * Refuses to move between placements whose tables differ, since a row could not be put in place, or would
 * lose a column; and tables whose changes can't be followed.
 *
 * @throws MoveRefused
 */
export function assertMovable(
  source: { readonly schema: string; readonly tables: readonly MoveTable[] },
  target: { readonly schema: string; readonly tables: readonly MoveTable[] },
): void {
  const loose = source.tables.find(({ hasKey }) => !hasKey);
  if (loose) {
    throw new MoveRefused(
      `The table ${loose.name} has no primary key that leads with tenant_id, so its changes can't be followed. Give it one with app.tenant_table.`,
    );
  }
  const shapes = ({ schema, tables }: typeof source) =>
    new Map(tables.map((table) => [table.name, shapeOf(table, schema)]));
  const [here, there] = [shapes(source), shapes(target)];
  if (here.size === 0) throw new MoveRefused("The tenant's placement has no tables to move.");
  const differing = [...new Set([...here.keys(), ...there.keys()])].filter(
    (name) => here.get(name) !== there.get(name),
  );
  if (differing.length === 0) return;
  throw new MoveRefused(
    `These tables are not the same at the source and at the target: ${differing.join(", ")}. Run \`insulae migrate up\`, then try again.`,
  );
}

/** Types of a schema's own are named with it. Columns may stand in another order. */
const shapeOf = ({ columns, key }: MoveTable, schema: string): string => {
  const own = `${schema}.`;
  const plain = (type: string) => (type.startsWith(own) ? type.slice(own.length) : type);
  const texts = columns.map(({ name, type }) => `${name} ${plain(type)}`).sort();
  return `${texts.join(", ")} key ${key.map(({ name }) => name).join(", ")}`;
};
