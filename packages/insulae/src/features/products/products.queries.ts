import {
  type ColumnType,
  type Generated,
  type Insertable,
  type Kysely,
  sql,
  type Updateable,
} from "kysely";
import type { CutPage } from "../../kernel/data/json-page.ts";
import {
  isSearched,
  type SearchSource,
  searched,
  searching,
  similarRows,
  soughtText,
} from "../../kernel/data/search.ts";
import { given, onlyGiven, type Params, statement } from "../../kernel/data/statement.ts";
import { type Page, withTotal } from "../../kernel/feature/page.ts";

export interface ProductTables {
  products: {
    id: ColumnType<string, never, never>;
    name: string;
    sku: string | null;
    description: string | null;
    /** numeric(12, 2): text, never a float. */
    price: string;
    currency: Generated<string>;
    is_active: Generated<boolean>;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
}

type Db = Kysely<ProductTables>;

const columns = [
  "id",
  "name",
  "sku",
  "description",
  sql<string>`price::text`.as("price"),
  "currency",
  "is_active",
  "created_at",
  "updated_at",
] as const;

interface Filter {
  search?: string | undefined;
  active?: boolean | undefined;
}

const matching = (db: Db, { search, active }: Params<Filter>) => {
  let products = db.selectFrom(searched("products", search));
  if (given(active)) products = products.where("is_active", "=", active);
  return given(search) ? products.where(isSearched(search)) : products;
};

const newestProducts = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p).select(columns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

const productsByName = statement(
  (
    db: Db,
    p: Params<Filter & { limit: number; name?: string | undefined; id?: string | undefined }>,
  ) => {
    const name = sql`app.sort_key(name)`;
    const page = matching(db, p).select(columns).orderBy(name).orderBy("id").limit(p.limit);
    if (!given(p.name)) return page;
    return page.where(sql<boolean>`(${name}, id) > (app.sort_key(${p.name}), ${p.id}::uuid)`);
  },
);

const countProducts = statement((db: Db, p: Params<Filter>) =>
  matching(db, p).select(sql<number>`count(*)::integer`.as("total")),
);

const filterOf = (wanted: { q?: string; is_active?: boolean }) => ({
  search: soughtText(wanted.q),
  active: wanted.is_active,
});

export function listProducts(
  db: Db,
  wanted: { q?: string; is_active?: boolean; sort?: "newest" | "name"; total?: boolean },
  { limit, after, cursor }: Page,
) {
  const filter = filterOf(wanted);
  const [first, second] = after;
  const items = (db: Db) =>
    wanted.sort === "name"
      ? productsByName.page(
          db,
          { ...filter, name: first, id: second },
          { limit, cursor, key: (product) => [product.name, product.id] },
        )
      : newestProducts.page(
          db,
          { ...filter, after: first },
          { limit, cursor, key: (product) => [product.id] },
        );
  return searching(db, { text: wanted.q }, (from) =>
    wanted.total ? withTotal(items(from), countProducts.first(from, filter)) : items(from),
  );
}

/** Products older than `after`, newest first. */
export const nextProducts = (
  db: Db,
  wanted: { q?: string; is_active?: boolean },
  page: { after: string | undefined; limit: number },
): Promise<CutPage> =>
  searching(db, { text: wanted.q }, (from) =>
    newestProducts.part(from, { ...filterOf(wanted), ...page }),
  );

export const createProduct = statement((db: Db, p: Params<Insertable<ProductTables["products"]>>) =>
  db.insertInto("products").values(onlyGiven(p)).returning(columns),
);

export const findProduct = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("products").select(columns).where("id", "=", p.id),
);

type Changes = Updateable<ProductTables["products"]> & { id: string };

export const updateProduct = statement((db: Db, { id, ...changes }: Params<Changes>) =>
  db.updateTable("products").set(onlyGiven(changes)).where("id", "=", id).returning(columns),
);

export const deleteProduct = statement((db: Db, p: Params<{ id: string }>) =>
  db.deleteFrom("products").where("id", "=", p.id).returning("id"),
);

export const productSearch = {
  type: "products",
  permission: "products:read",
  find: similarRows("products", sql`name`, sql`sku`),
} as const satisfies SearchSource;
