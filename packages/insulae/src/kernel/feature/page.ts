/**
 * Lists are paginated: `{ items, next_cursor }`, ordered by a key, starting after the cursor's row.
 * A page's cost does not depend on its position, and rows added meanwhile neither repeat nor hide
 * others.
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

/** The page that a request asks for: `context.page`. */
export interface Page {
  /** The maximum of items, 1 to 200. */
  readonly limit: number;
  /**
   * The key of the row that the page starts after, one text per value; empty on the first page.
   * Verified: `cursor.encode` made it for this tenant and list.
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
      description: "The maximum number of items.",
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: maxCursorLength,
      description: "The `next_cursor` of the previous page. Absent: the first page.",
    }),
  ),
};

/** The query of a list: `limit`, `cursor`, and the list's filters. */
export function pageQuery<Filters extends TProperties = Record<never, never>>(filters?: Filters) {
  // without filters, `Filters` is the empty record
  return Type.Object({ ...pageParameters, ...(filters as Filters) });
}

/** The response of a list. */
export function pageOf<Item extends TSchema>(item: Item) {
  return Type.Object({
    items: Type.Array(item),
    next_cursor: Type.Union([Type.String(), Type.Null()], {
      description: "The cursor of the next page; null on the last one.",
    }),
    total: Type.Optional(Type.Integer({ minimum: 0 })),
  });
}

/**
 * Adds the total number of the list's items to a page. Both statements run concurrently.
 *
 * @example
 * return query.total ? withTotal(page, countContacts.first(db, filter)) : page;
 */
export async function withTotal<Row>(
  page: Promise<Json<ListPage<Row>>>,
  count: Promise<{ readonly total: number | string | bigint } | undefined>,
): Promise<Json<ListPage<Row>>> {
  const [{ text }, counted] = await Promise.all([page, count]);
  // The page is a non-empty JSON object: insert before its closing brace.
  return new Json(`${text.slice(0, -1)},"total":${Number(counted?.total ?? 0)}}`);
}

const maxPageBytes = 3 * 1024 * 1024;

/**
 * The items that fit in a page, for lists that are not a statement's `page`: at most 3 MiB of JSON,
 * but at least one item.
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
