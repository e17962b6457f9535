import { type ColumnType, type Kysely, sql } from "kysely";
import { given, type Params, statement } from "../../kernel/data/statement.ts";
import { type Page, withTotal } from "../../kernel/feature/page.ts";
import type { OrderStatus } from "./orders.status.ts";

export interface OrderTables {
  orders: {
    id: ColumnType<string, never, never>;
    /** bigint: a number in JSON, text in rows. */
    number: ColumnType<string, never, never>;
    user_id: ColumnType<string | null, never, never>;
    status: ColumnType<OrderStatus, never, OrderStatus>;
    currency: ColumnType<string, never, never>;
    /** numeric: text, never a float. */
    total: ColumnType<string, never, never>;
    created_at: ColumnType<Date, never, never>;
    updated_at: ColumnType<Date, never, never>;
  };
  order_lines: {
    order_id: ColumnType<string, never, never>;
    position: ColumnType<number, never, never>;
    product_id: ColumnType<string, never, never>;
    quantity: ColumnType<number, never, never>;
    unit_price: ColumnType<string, never, never>;
    line_total: ColumnType<string, never, never>;
  };
  order_counters: { last_number: ColumnType<string, never, never> };
}

type Db = Kysely<OrderTables>;

const headColumns = [
  "id",
  // A bigint; typed as a number because these rows are only ever read as JSON.
  sql<number>`number`.as("number"),
  "user_id",
  "status",
  "currency",
  sql<string>`total::text`.as("total"),
  "created_at",
  "updated_at",
] as const;

interface OrderLine {
  product_id: string;
  quantity: number;
  unit_price: string;
  line_total: string;
}

const lines = sql<OrderLine[]>`(
  select json_agg(json_build_object(
    'product_id', product_id,
    'quantity', quantity,
    'unit_price', unit_price::text,
    'line_total', line_total::text
  ) order by position)
  from order_lines
  where order_id = orders.id
)`.as("lines");

const columns = [...headColumns, lines] as const;

interface Filter {
  status?: OrderStatus | undefined;
  userId?: string | undefined;
}

const matching = (db: Db, { status, userId }: Params<Filter>) => {
  let orders = db.selectFrom("orders");
  if (given(status)) orders = orders.where("status", "=", status);
  if (given(userId)) orders = orders.where("user_id", "=", userId);
  return orders;
};

const newestOrders = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p).select(headColumns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

const countOrders = statement((db: Db, p: Params<Filter>) =>
  matching(db, p).select(sql<number>`count(*)::integer`.as("total")),
);

/** Orders with their lines that are older than `after`, newest first. */
export const wholeOrders = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    const page = matching(db, p).select(columns).orderBy("id", "desc").limit(p.limit);
    return given(p.after) ? page.where("id", "<", p.after) : page;
  },
);

export const filterOf = (wanted: { status?: OrderStatus; user_id?: string }) => ({
  status: wanted.status,
  userId: wanted.user_id,
});

export function listOrders(
  db: Db,
  wanted: { status?: OrderStatus; user_id?: string; total?: boolean },
  { limit, after, cursor }: Page,
) {
  const filter = filterOf(wanted);
  const items = newestOrders.page(
    db,
    { ...filter, after: after[0] },
    { limit, cursor, key: (order) => [order.id] },
  );
  return wanted.total ? withTotal(items, countOrders.first(db, filter)) : items;
}

export const findOrder = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("orders").select(columns).where("id", "=", p.id),
);

export type OrderRow = NonNullable<Awaited<ReturnType<typeof findOrder.first>>>;

/** @param from the current statuses that allow the change */
export const changeStatus = statement(
  (db: Db, p: Params<{ id: string; status: OrderStatus; from: readonly OrderStatus[] }>) =>
    db
      .updateTable("orders")
      .set({ status: p.status })
      .where("id", "=", p.id)
      .where(sql<boolean>`status = any(${p.from}::text[])`)
      .returning(columns),
);

/** Deletes an order and its lines. @param from the statuses that allow it */
export const deleteOrder = statement(
  (db: Db, p: Params<{ id: string; from: readonly OrderStatus[] }>) =>
    db
      .deleteFrom("orders")
      .where("id", "=", p.id)
      .where(sql<boolean>`status = any(${p.from}::text[])`)
      .returning("id"),
);
