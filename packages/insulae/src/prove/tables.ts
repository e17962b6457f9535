/** The tables of a data-plane schema, as the catalogues have them, filled with rows of two tenants. */
import pg from "pg";

const { escapeIdentifier: quote, escapeLiteral: literal } = pg;

export interface ProvenTable {
  readonly name: string;
  /** With its schema, quoted. */
  readonly label: string;
  readonly columns: readonly Column[];
  readonly policy: string | undefined;
  readonly primaryKey: { readonly name: string; readonly columns: readonly string[] } | undefined;
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  /** Conditions that mention it. */
  readonly checks: readonly string[];
}

/** Tables that have rows: those that others inherit from are read through these. */
export async function readTables(
  client: pg.Client,
  schema: string,
): Promise<readonly ProvenTable[]> {
  const { rows } = await client.query<Omit<ProvenTable, "label">>(
    `select c.relname as name,
       (select json_agg(json_build_object(
            'name', a.attname,
            'type', format_type(a.atttypid, null),
            'required', a.attnotnull and not a.atthasdef and a.attidentity = '',
            'checks', array(
              select pg_get_constraintdef(k.oid) from pg_constraint k
              where k.conrelid = c.oid and k.contype = 'c' and a.attnum = any (k.conkey)))
          order by a.attnum)
        from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
       ) as columns,
       (select p.polname from pg_policy p
        where p.polrelid = c.oid and p.polpermissive order by p.polname limit 1) as policy,
       (select json_build_object('name', k.conname, 'columns', array(
            select a.attname from unnest(k.conkey) with ordinality as u (number, at)
            join pg_attribute a on a.attrelid = c.oid and a.attnum = u.number order by u.at))
        from pg_constraint k where k.conrelid = c.oid and k.contype = 'p') as "primaryKey"
     from pg_class c
     where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and not exists (select from pg_inherits i where i.inhparent = c.oid)
       and exists (
         select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')
     order by c.relname`,
    [schema],
  );
  return rows.map((row) => ({ ...row, label: `${quote(schema)}.${quote(row.name)}` }));
}

/**
 * Gives each table a row of each tenant, as the owner. Foreign keys are dropped first: they say nothing of
 * who sees a row, and each is a mutant of its own.
 *
 * @returns what could not be filled, and why
 */
export async function fillTables(
  client: pg.Client,
  schema: string,
  tables: readonly ProvenTable[],
  tenants: readonly string[],
): Promise<readonly string[]> {
  const { rows: keys } = await client.query<{ drop: string }>(
    `select format('alter table %s drop constraint %I', conrelid::regclass, conname) as drop
     from pg_constraint where contype = 'f' and connamespace = $1::regnamespace`,
    [schema],
  );
  for (const { drop } of keys) await client.query(drop);
  const failed: string[] = [];
  let number = 0;
  for (const { name, label, columns } of tables) {
    await client.query(`alter table ${label} disable trigger user`);
    for (const tenant of tenants) {
      number += 1;
      const given = columns.filter((column) => column.required || column.name === "tenant_id");
      const insert = `insert into ${label} (${given.map((column) => quote(column.name)).join(", ")})
        values (${given.map((column, at) => `$${at + 1}::text::${column.type}`).join(", ")})`;
      await client.query("select set_config('app.current_tenant_id', $1, true)", [tenant]);
      const tries = [number, 1].map((amount) =>
        given.map((column) =>
          column.name === "tenant_id" ? tenant : sampleOf(column, number, amount),
        ),
      );
      const error = await firstThatFits(client, insert, tries);
      if (error !== undefined) {
        failed.push(`${name}: ${error}`);
        break;
      }
    }
    await client.query(`alter table ${label} enable trigger user`);
  }
  return failed;
}

/** @returns why none fits */
async function firstThatFits(
  client: pg.Client,
  insert: string,
  tries: readonly (readonly string[])[],
): Promise<string | undefined> {
  let last: string | undefined;
  for (const values of tries) {
    await client.query("savepoint filling");
    try {
      await client.query(insert, [...values]);
      return undefined;
    } catch (error) {
      await client.query("rollback to savepoint filling");
      last = (error as Error).message;
    }
  }
  return last;
}

/**
 * A text that PostgreSQL takes for the type, and that is right by what its conditions name.
 *
 * @param amount for numbers: some conditions relate them to each other
 */
function sampleOf({ type, checks }: Column, number: number, amount: number): string {
  const named = checks
    // Bounded: conditions of the application's own migrations
    .flatMap((check) => [...check.matchAll(/'((?:[^']|'')*)'::(?:text|character varying)/g)])
    .map(([, text = ""]) => text.replaceAll("''", "'"))
    .find((text) => text !== "" && !/[\^$[\]()*+?\\]/.test(text));
  if (/^(text|character)/.test(type) && named !== undefined) return named;
  if (checks.some((check) => check.includes("^[A-Z]{3}$"))) return "EUR";
  switch (type) {
    case "uuid":
      return `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`;
    case "boolean":
      return "false";
    case "json":
    case "jsonb":
      return "{}";
    case "bytea":
      return `\\x${number.toString(16).padStart(64, "0")}`;
    case "inet":
      return "127.0.0.1";
    case "date":
      return "2026-01-01";
    default:
      if (/^(smallint|integer|bigint|numeric|real|double)/.test(type)) return String(amount);
      if (/^timestamp/.test(type)) return "2026-01-01T00:00:00Z";
      if (type.endsWith("[]")) return "{}";
      return `v${number}`;
  }
}

export { literal, quote };
