/**
 * Lists come in pages: `{ items, next_cursor }`, in the order of a key, from the row after the
 * cursor. A page costs the same however far down the list it is, and rows that are added meanwhile
 * neither repeat nor hide others.
 *
 * @example
 * r.get(
 *   "/contacts",
 *   {
 *     permission: "contacts:read",
 *     summary: "Lists contacts",
 *     query: pageQuery({ q: searchText, favourite: Type.Optional(Type.Boolean()) }),
 *     response: pageOf(Contact),
 *   },
 *   ({ db, query, page }) =>
 *     listContacts.page(
 *       db,
 *       { after: page.after[0], search: query.q, favourite: query.favourite },
 *       { limit: page.limit, cursor: page.cursor, key: (contact) => [contact.id] },
 *     ),
 * );
 */
import { type TProperties, type TSchema, Type } from "typebox";
import type { ListPage } from "../data/statement.ts";
import { Json } from "../lib/json.ts";
import { type CursorCodec, maxCursorLength } from "./cursor.ts";

export const defaultPageLimit = 25;
const maxPageLimit = 200;

/** The part of a list that a request asks for: `context.page`. */
export interface Page {
  /** How many items at most, 1 to 200. */
  readonly limit: number;
  /**
   * The key of the row that the page starts after, as text, value by value; empty on the first
   * page. The cursor was checked: it is one that `cursor.encode` made for this tenant and list.
   */
  readonly after: readonly string[];
  /**
   * Makes `next_cursor` from the key of the last item. It is bound to the tenant, the route and the
   * query parameters `sort` and `order`.
   */
  readonly cursor: CursorCodec;
}

/** A filter for `pageQuery`: free text to search for. */
export const searchText = Type.Optional(
  Type.String({ minLength: 1, maxLength: 200, description: "Only items that contain this text." }),
);

/** A filter for `pageQuery`: counts all matching items too, which costs a second statement. */
export const totalWanted = Type.Optional(
  Type.Boolean({ description: "Adds `total`, the number of all matching items." }),
);

const pageParameters = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxPageLimit,
      default: defaultPageLimit,
      description: "How many items at most.",
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: maxCursorLength,
      description: "The `next_cursor` of the page before; without it, the first page.",
    }),
  ),
};

/** The query of a list: `limit`, `cursor`, and the filters that the list has. */
export function pageQuery<Filters extends TProperties = Record<never, never>>(filters?: Filters) {
  // Without filters there is nothing to spread, and `Filters` is the empty record.
  return Type.Object({ ...pageParameters, ...(filters as Filters) });
}

/** The answer of a list. */
export function pageOf<Item extends TSchema>(item: Item) {
  return Type.Object({
    items: Type.Array(item),
    next_cursor: Type.Union([Type.String(), Type.Null()], {
      description: "Asks for the next page; null on the last one.",
    }),
    total: Type.Optional(Type.Integer({ minimum: 0 })),
  });
}

/**
 * A page with the number of all its list's items. Both statements run at the same time.
 *
 * @example
 * return query.total ? withTotal(page, countContacts.first(db, filter)) : page;
 */
export async function withTotal<Row>(
  page: Promise<Json<ListPage<Row>>>,
  count: Promise<{ readonly total: number | string | bigint } | undefined>,
): Promise<Json<ListPage<Row>>> {
  const [{ text }, counted] = await Promise.all([page, count]);
  // The page is an object that has members: one more goes before its closing brace.
  return new Json(`${text.slice(0, -1)},"total":${Number(counted?.total ?? 0)}}`);
}

const maxPageBytes = 3 * 1024 * 1024;

/**
 * The first of the items that fit in a page, for a list that is no statement's `page`: at most 3 MiB of
 * JSON, but one item at least.
 *
 * @example
 * const items = fitting(found.slice(0, limit));
 * const isMore = found.length > items.length;
 */
export function fitting<Item>(items: readonly Item[]): Item[] {
  let left = maxPageBytes;
  const beyond = items.findIndex((item, at) => {
    left -= Buffer.byteLength(JSON.stringify(item));
    return left < 0 && at > 0;
  });
  return items.slice(0, beyond < 0 ? items.length : beyond);
}
