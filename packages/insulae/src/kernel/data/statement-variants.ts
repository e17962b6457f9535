/**
 * The compiled variants of a statement: one per set of present parameters. The builder gets a
 * marker for each value; after compilation the markers identify the query's parameters.
 */
import {
  type Compilable,
  type CompiledQuery,
  DummyDriver,
  type Expression,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  ValueNode,
} from "kysely";
import { rulesOf } from "../engine/sql-rules.ts";
import { QueryCompiler } from "./query-compiler.ts";

type Values = Readonly<Record<string, unknown>>;

export interface Variant {
  readonly text: string;
  /** The first row as a JSON object. */
  readonly json: string;
  /** All rows as a JSON array. */
  readonly jsonList: string;
  /**
   * The first rows as JSON objects separated by a comma and a newline, their number, and their
   * pieces.
   */
  readonly jsonPage: string;
  /** The parameters that the query uses. */
  readonly names: readonly string[];
  values(params: Values): unknown[];
  readonly query: CompiledQuery["query"];
  readonly queryId: CompiledQuery["queryId"];
}

export interface Variants {
  /** The variant for the parameters that are not undefined. */
  of(params: object): Variant;
}

/**
 * Bounds a page in bytes: each row takes one piece per started `pieceBytes` of its JSON, and
 * PostgreSQL stops at the row that exhausts the pieces. So a page has at most 3 MiB plus one row,
 * and 200 rows of less than 6 KiB always fit.
 */
export const maxPieces = 512;
const pieceBytes = 6 * 1024;

/**
 * A statement has few variants. This many mean that parameter names come from outside: drop all.
 */
const maxVariants = 256;

export function createVariants<Tables>(
  build: (db: Kysely<Tables>, params: object) => Compilable,
): Variants {
  const variants = new Map<string, Variant>();
  return {
    of(params) {
      const values = params as Values;
      let signature = "";
      for (const name in values) if (values[name] !== undefined) signature += `${name},`;
      let variant = variants.get(signature);
      if (variant === undefined) {
        if (variants.size >= maxVariants) variants.clear();
        // It only compiles, so it needs no tables.
        variant = compileVariant(
          build(compileOnly as unknown as Kysely<Tables>, markersOf(values)),
        );
        variants.set(signature, variant);
      }
      return variant;
    },
  };
}

const compileOnly = new Kysely<never>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new QueryCompiler(),
  },
});

/** A placeholder for a value. Using it as the value itself throws. */
class Marker implements Expression<unknown> {
  readonly name: string;
  readonly expressionType: undefined;

  constructor(name: string) {
    this.name = name;
  }

  toOperationNode(): ValueNode {
    return ValueNode.create(this);
  }

  [Symbol.toPrimitive](): never {
    throw new TypeError(
      `the value of ${JSON.stringify(this.name)} is unknown while the statement is built`,
    );
  }
}

function markersOf(values: Values): object {
  const present = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present.map(([name]) => [name, new Marker(name)]));
}

function compileVariant(query: Compilable): Variant {
  const { sql, parameters, query: node, queryId } = query.compile();
  const names = parameters.map((each) => (each instanceof Marker ? each.name : undefined));
  // Data-modifying statements are allowed only in a top-level `with`, not in a subquery. `t.*` is
  // the row: a mere `t` would be a column of that name.
  const [start, rows] =
    rulesOf(sql).kind === "read" ? ["", `(${sql}) as t`] : [`with t as (${sql}) `, "t"];
  const inner = (columns: string) => `${start}select ${columns} from ${rows}`;
  return {
    text: sql,
    json: `${inner("row_to_json(t.*)::text")} limit 1`,
    jsonList: inner("'[' || coalesce(string_agg(row_to_json(t.*)::text, ','), '') || ']'"),
    jsonPage: start + pageOf(rows),
    names: names.filter((name) => name !== undefined),
    values(params) {
      const values: unknown[] = new Array(names.length);
      for (let i = 0; i < names.length; i += 1) {
        const name = names[i];
        values[i] = name === undefined ? parameters[i] : params[name];
      }
      return values;
    },
    query: node,
    queryId,
  };
}

/**
 * Rows are expanded to their pieces lazily, so PostgreSQL reads no row past the limit. Only a row's
 * first piece has its JSON. `offset 0` keeps the planner from merging the levels, which would build
 * the JSON twice.
 */
const pageOf = (rows: string): string => `
  select string_agg(item, E',\\n'), count(item)::int, count(*)::int
  from (
    select case when piece = 0 then item end as item
    from (
      select item, generate_series(0, octet_length(item) / ${pieceBytes}) as piece
      from (select row_to_json(t.*)::text as item from ${rows} offset 0) as items
    ) as pieces
    limit ${maxPieces}
  ) as firsts`;
