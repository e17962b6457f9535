/**
 * Statements that are built and compiled once and run often: a run only fills in values, without
 * Kysely's builders and compiler. The same statement can return rows as objects, or JSON text built
 * by PostgreSQL and sent unchanged.
 */
import type { Compilable, CompiledQuery, Expression, Kysely } from "kysely";
import { isDatabaseError } from "../engine/errors.ts";
import { callSite, relocate } from "../lib/call-site.ts";
import { Json } from "../lib/json.ts";
import { type CutPage, cutPage } from "./json-page.ts";
import { createVariants, maxPieces, type Variant } from "./statement-variants.ts";
import type { TextQuery } from "./transaction.ts";

/**
 * The parameters as the builder sees them: Kysely expressions, because values are unknown while the
 * statement is built. The builder may depend on *whether* a parameter is given (`given(p.after)`),
 * never on its value: `p.sort === "name"`, `p.ids.length` and `if (p.onlyActive)` do not compile.
 */
export type Params<P> = {
  readonly [Name in keyof P]-?: undefined extends P[Name]
    ? OptionalParameter<Exclude<P[Name], undefined>>
    : Parameter<P[Name]>;
};

/**
 * A type that can't be used as a condition: with a `then`, TypeScript treats it as a promise and
 * reports error 2801 for `if (p.active)`. The method does not exist.
 */
type Untestable = Pick<PromiseLike<never>, "then">;

/** A placeholder for a value. */
export interface Parameter<Value> extends Expression<Value>, Untestable {}

declare const whenGiven: unique symbol;

/** A placeholder for an optional value; an expression once `given()` has confirmed its presence. */
export interface OptionalParameter<Value> extends Untestable {
  readonly [whenGiven]: Parameter<Value>;
}

/**
 * Whether the variant being built has the parameter.
 *
 * @example
 * given(p.after) ? page.where("id", "<", p.after) : page
 */
export function given<Value>(
  parameter: OptionalParameter<Value>,
): parameter is OptionalParameter<Value> & Parameter<Value> {
  return parameter !== undefined;
}

/** The parameters that are present: what an update sets, or an insert doesn't leave to defaults. */
export type OnlyGiven<P> = {
  readonly [Name in keyof P as P[Name] extends OptionalParameter<unknown> ? never : Name]: P[Name];
} & {
  readonly [Name in keyof P as P[Name] extends OptionalParameter<unknown>
    ? Name
    : never]?: P[Name] extends OptionalParameter<infer Value> ? Parameter<Value> : never;
};

/**
 * The parameters that are present, as expressions.
 *
 * @example
 * db.updateTable("contacts").set(onlyGiven(changes)).where("id", "=", id)
 */
export const onlyGiven = <P extends object>(parameters: P): OnlyGiven<P> =>
  // the builder gets only those
  parameters as OnlyGiven<P>;

/** The parameters as passed to a run; optional ones may be undefined. */
export type Given<P> = {
  readonly [Name in keyof P]: Record<never, never> extends Pick<P, Name>
    ? P[Name] | undefined
    : P[Name];
};

type Arguments<P> = Record<never, never> extends P ? [params?: Given<P>] : [params: Given<P>];

/** A row as JSON. */
export type JsonRow<Row> = { readonly [Name in keyof Row]: JsonValue<Row[Name]> };
type JsonValue<Value> = Value extends Date ? string : Value;

/** The response of a list; see `pageOf`. */
export interface ListPage<Row> {
  readonly items: Row[];
  readonly next_cursor: string | null;
  readonly total?: number;
}

/** Encodes the key of a page's last row as a cursor. */
export interface CursorCodec {
  encode(key: readonly unknown[]): string;
}

export interface PageOptions<Row> {
  /** The maximum of items. Fewer if they are large: a page has at most 3 MiB and one item. */
  readonly limit: number;
  readonly cursor: CursorCodec;
  /** The values that the statement is ordered by and that the next page starts after. */
  readonly key: (item: JsonRow<Row>) => readonly unknown[];
}

/** @typeParam Tables the tables it uses; it runs on a database or transaction that has them */
export interface PreparedStatement<Tables, P, Row> {
  all(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Row[]>;
  first(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Row | undefined>;
  /** The first row, as a JSON object. */
  json(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Json<Row> | undefined>;
  /** Like `json`, but there must be a row. @throws Error if there is none */
  jsonOrThrow(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Json<Row>>;
  /** All rows as a JSON array. Only for few and small rows: nothing bounds it. */
  jsonList(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Json<Row[]>>;
  /**
   * The first rows, like `page` but without a cursor, for exports. The statement's parameter
   * `limit` is the maximum.
   */
  part(
    db: Kysely<Tables>,
    params: Given<Omit<P, "limit">> & { readonly limit: number },
  ): Promise<CutPage>;
  /**
   * One page, as `{"items":[…],"next_cursor":…}`. The statement must have a parameter `limit`,
   * which is set here: one extra row is fetched to detect a next page.
   */
  page(
    db: Kysely<Tables>,
    params: Given<Omit<P, "limit">> & { readonly limit?: number },
    options: PageOptions<Row>,
  ): Promise<Json<ListPage<Row>>>;
}

/**
 * Declares a statement.
 *
 * @param build builds the query; called once per set of present parameters
 * @example
 * const findContact = statement((db: Kysely<ContactTables>, p: Params<{ id: string }>) =>
 *   db.selectFrom("contacts").select(["id", "name"]).where("id", "=", p.id),
 * );
 * const contact = await findContact.first(db, { id });
 */
export function statement<Tables, Row, P = Record<never, never>>(
  build: (db: Kysely<Tables>, params: Params<P>) => Compilable<Row>,
): PreparedStatement<Tables, P, Row> {
  // The builder gets markers under the parameters' names.
  const variants = createVariants(build as (db: Kysely<Tables>, params: object) => Compilable);

  const declared = callSite(statement);

  /** Gives errors the stack of the awaiting caller. */
  const located = (error: unknown, callee: (...args: never[]) => unknown): unknown => {
    if (isDatabaseError(error)) relocate(error, declared, callee);
    return error;
  };

  const texts = async (db: Kysely<Tables>, variant: Variant, text: string, params: object) => {
    const query: TextQuery = { ...compiled(variant, text, params), rows: "text" };
    try {
      const { rows } = await db.getExecutor().executeQuery(query);
      return rows as (string | null)[][];
    } catch (error) {
      throw located(error, texts);
    }
  };
  const all = async (db: Kysely<Tables>, params: object = {}): Promise<Row[]> => {
    const variant = variants.of(params);
    const query = compiled(variant, variant.text, params);
    try {
      return (await db.getExecutor().executeQuery<Row>(query)).rows;
    } catch (error) {
      throw located(error, all);
    }
  };

  const part = async (
    db: Kysely<Tables>,
    { limit, ...params }: { readonly limit: number },
  ): Promise<CutPage> => {
    const values = { ...params, limit: limit + 1 };
    const variant = variants.of(values);
    if (!variant.names.includes("limit")) throw new Error("page(): the statement has no `limit`");
    const [row] = await texts(db, variant, variant.jsonPage, values);
    const [text, count, pieces] = row ?? [];
    // If the pieces ran out, more rows may follow.
    const isFull = Number(pieces ?? 0) >= maxPieces;
    return cutPage(text ?? "", Number(count ?? 0), limit, isFull);
  };

  const json = async (db: Kysely<Tables>, params: object = {}): Promise<Json<Row> | undefined> => {
    const variant = variants.of(params);
    const text = (await texts(db, variant, variant.json, params))[0]?.[0];
    return text == null ? undefined : new Json(text);
  };

  return {
    all: (db, ...[params]) => all(db, params),
    first: async (db, ...[params]) => (await all(db, params))[0],
    json: (db, ...[params]) => json(db, params),
    async jsonOrThrow(db, ...[params = {}]) {
      const found = await json(db, params);
      if (found === undefined) throw new Error("the statement returned no row");
      return found;
    },
    async jsonList(db, ...[params = {}]) {
      const variant = variants.of(params);
      return new Json((await texts(db, variant, variant.jsonList, params))[0]?.[0] ?? "[]");
    },
    part,
    async page(db, params, { limit, cursor, key }) {
      const { items, last } = await part(db, { ...params, limit });
      // the text consists of the statement's own rows
      const next = last === undefined ? null : cursor.encode(key(JSON.parse(last) as JsonRow<Row>));
      return new Json(`{"items":[${items}],"next_cursor":${JSON.stringify(next)}}`);
    },
  };
}

function compiled(variant: Variant, text: string, params: object): CompiledQuery {
  return {
    sql: text,
    parameters: variant.values(params as Readonly<Record<string, unknown>>),
    query: variant.query,
    queryId: variant.queryId,
  };
}
