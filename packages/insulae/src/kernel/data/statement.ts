/**
 * Statements that are built and compiled once and run often: a run fills in values, and neither
 * Kysely's builders nor its compiler are on the way. The same statement can give rows as objects, or
 * JSON text that PostgreSQL has built and that is passed on untouched.
 */
import type { Compilable, CompiledQuery, Expression, Kysely } from "kysely";
import { isDatabaseError } from "../engine/errors.ts";
import { callSite, relocate } from "../lib/call-site.ts";
import { Json } from "../lib/json.ts";
import { type CutPage, cutPage } from "./json-page.ts";
import { createVariants, maxPieces, type Variant } from "./statement-variants.ts";
import type { TextQuery } from "./transaction.ts";

/**
 * The parameters as a statement's builder sees them: expressions of Kysely, since their values are not known
 * while the statement is built. It may differ by *whether* a parameter is given (`given(p.after)`), never by
 * its value: `p.sort === "name"`, `p.ids.length` and `if (p.onlyActive)` do not compile.
 */
export type Params<P> = {
  readonly [Name in keyof P]-?: undefined extends P[Name]
    ? OptionalParameter<Exclude<P[Name], undefined>>
    : Parameter<P[Name]>;
};

/**
 * What nobody may take for a value. As a type it has a promise's `then`, because a promise is the one object
 * that TypeScript refuses to test (`if (p.active)` is its error 2801); there is no such method.
 */
type Untestable = Pick<PromiseLike<never>, "then">;

/** The place of a value. */
export interface Parameter<Value> extends Expression<Value>, Untestable {}

declare const whenGiven: unique symbol;

/** The place of a value that a run may lack: an expression once `given()` has said that it is there. */
export interface OptionalParameter<Value> extends Untestable {
  readonly [whenGiven]: Parameter<Value>;
}

/**
 * Whether the run that a statement is built for has the parameter.
 *
 * @example
 * given(p.after) ? page.where("id", "<", p.after) : page
 */
export function given<Value>(
  parameter: OptionalParameter<Value>,
): parameter is OptionalParameter<Value> & Parameter<Value> {
  return parameter !== undefined;
}

/** Those of the parameters that the run has: what an update sets, or an insert leaves to a default. */
export type OnlyGiven<P> = {
  readonly [Name in keyof P as P[Name] extends OptionalParameter<unknown> ? never : Name]: P[Name];
} & {
  readonly [Name in keyof P as P[Name] extends OptionalParameter<unknown>
    ? Name
    : never]?: P[Name] extends OptionalParameter<infer Value> ? Parameter<Value> : never;
};

/**
 * The parameters as expressions, without those that the run lacks.
 *
 * @example
 * db.updateTable("contacts").set(onlyGiven(changes)).where("id", "=", id)
 */
export const onlyGiven = <P extends object>(parameters: P): OnlyGiven<P> =>
  // The builder is given none that the run lacks.
  parameters as OnlyGiven<P>;

/** The parameters as they are given to a run: what is optional may also be undefined. */
export type Given<P> = {
  readonly [Name in keyof P]: Record<never, never> extends Pick<P, Name>
    ? P[Name] | undefined
    : P[Name];
};

type Arguments<P> = Record<never, never> extends P ? [params?: Given<P>] : [params: Given<P>];

/** A row as it is in JSON. */
export type JsonRow<Row> = { readonly [Name in keyof Row]: JsonValue<Row[Name]> };
type JsonValue<Value> = Value extends Date ? string : Value;

/** The answer of a list; see `pageOf`. */
export interface ListPage<Row> {
  readonly items: Row[];
  readonly next_cursor: string | null;
  readonly total?: number;
}

/** Makes the text of a cursor from the key of the last row of a page. */
export interface CursorCodec {
  encode(key: readonly unknown[]): string;
}

export interface PageOptions<Row> {
  /** How many items at most; fewer where they are large: a page has at most 3 MiB and one item. */
  readonly limit: number;
  readonly cursor: CursorCodec;
  /** The values that the statement is ordered by and that its next page starts after. */
  readonly key: (item: JsonRow<Row>) => readonly unknown[];
}

/** @typeParam Tables the tables it is about; it runs on a database or in a transaction of them. */
export interface PreparedStatement<Tables, P, Row> {
  /** All rows. */
  all(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Row[]>;
  /** The first row. */
  first(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Row | undefined>;
  /** The first row, as a JSON object. */
  json(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Json<Row> | undefined>;
  /** The same where there has to be one, as an insert has. @throws Error if there is none. */
  jsonOrThrow(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Json<Row>>;
  /** All rows, as a JSON array. Only for what is few and small: nothing bounds it. */
  jsonList(db: Kysely<Tables>, ...params: Arguments<P>): Promise<Json<Row[]>>;
  /**
   * The first rows, as `page` has them, without a cursor: what exports are made of. The statement's
   * parameter `limit` is how many at most.
   */
  part(
    db: Kysely<Tables>,
    params: Given<Omit<P, "limit">> & { readonly limit: number },
  ): Promise<CutPage>;
  /**
   * One page, as `{"items":[…],"next_cursor":…}`. The statement has to have a parameter `limit`,
   * which is the page's own: one row more is fetched to see whether there is a next page.
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
 * @param build makes the query; it is run once for each set of parameters that are present.
 * @example
 * const findContact = statement((db: Kysely<ContactTables>, p: Params<{ id: string }>) =>
 *   db.selectFrom("contacts").select(["id", "name"]).where("id", "=", p.id),
 * );
 * const contact = await findContact.first(db, { id });
 */
export function statement<Tables, Row, P = Record<never, never>>(
  build: (db: Kysely<Tables>, params: Params<P>) => Compilable<Row>,
): PreparedStatement<Tables, P, Row> {
  // What is present in the parameters is given to the builder by the same names.
  const variants = createVariants(build as (db: Kysely<Tables>, params: object) => Compilable);

  const declared = callSite(statement);

  /** Its errors have the stack of those who await it. */
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
    // Where the pieces ran out, there may be more rows.
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
      if (found === undefined) throw new Error("the statement has given no row");
      return found;
    },
    async jsonList(db, ...[params = {}]) {
      const variant = variants.of(params);
      return new Json((await texts(db, variant, variant.jsonList, params))[0]?.[0] ?? "[]");
    },
    part,
    async page(db, params, { limit, cursor, key }) {
      const { items, last } = await part(db, { ...params, limit });
      // The text was made from the statement's own rows.
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
