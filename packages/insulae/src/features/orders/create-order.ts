/**
 * Creates an order in one statement, hence one transaction and one round trip: look up and check
 * the products, take the next number, insert the order and its lines.
 *
 * The products are locked `for key share`, so they can't be deleted meanwhile; price changes are
 * not blocked, and each line has either the old or the new price. The total is summed from the
 * inserted lines. Orders of one tenant queue at its counter until the commit, which keeps numbers
 * without gaps.
 */
import { type Kysely, sql } from "kysely";
import { Json } from "../../kernel/lib/json.ts";
import type { OrderRow, OrderTables } from "./orders.queries.ts";

export interface NewOrder {
  readonly user_id?: string | null;
  readonly lines: readonly { readonly product_id: string; readonly quantity: number }[];
}

export type OrderProblem = "product_not_found" | "product_inactive" | "currencies_differ";

/** @returns the order, or the problem with its products, in which case nothing was inserted */
export async function createOrder(
  db: Kysely<OrderTables>,
  { user_id = null, lines }: NewOrder,
): Promise<Json<OrderRow> | OrderProblem> {
  const productIds = lines.map((line) => line.product_id);
  const quantities = lines.map((line) => line.quantity);
  const { rows } = await sql<
    { problem: OrderProblem; order: null } | { problem: null; order: string }
  >`
    with wanted as (
      select position, product_id, quantity
      from unnest(${productIds}::uuid[], ${quantities}::integer[])
        with ordinality as line (product_id, quantity, position)
    ),
    priced as (
      select wanted.*, price, currency, is_active
      from wanted
      join products on products.id = product_id
      for key share of products
    ),
    checked as (
      select
        case
          when count(*) < (select count(*) from wanted) then 'product_not_found'
          when not bool_and(is_active) then 'product_inactive'
          when count(distinct currency) > 1 then 'currencies_differ'
        end as problem,
        min(currency) as currency,
        sum(price * quantity) as total
      from priced
    ),
    counted as (
      insert into order_counters (last_number)
      select 1
      from checked
      where problem is null
      on conflict on constraint order_counters_pkey
      do update set last_number = order_counters.last_number + 1
      returning last_number
    ),
    made as (
      insert into orders (number, user_id, currency, total)
      select last_number, ${user_id}::uuid, currency, total
      from counted, checked
      returning id, number, user_id, status, currency, total, created_at, updated_at
    ),
    made_lines as (
      insert into order_lines (order_id, position, product_id, quantity, unit_price, line_total)
      select made.id, position, product_id, quantity, price, price * quantity
      from made, priced
      returning position, product_id, quantity, unit_price, line_total
    )
    select problem, (
      select row_to_json(whole)::text
      from (
        select id, number, user_id, status, made.currency, made.total::text, created_at, updated_at, (
          select json_agg(json_build_object(
            'product_id', product_id,
            'quantity', quantity,
            'unit_price', unit_price::text,
            'line_total', line_total::text
          ) order by position)
          from made_lines
        ) as lines
        from made
      ) as whole
    ) as "order"
    from checked`.execute(db);
  const [row] = rows;
  if (!row) throw new Error("an aggregate without groups has one row");
  return row.problem ?? new Json<OrderRow>(row.order);
}
