import { Type } from "typebox";
import type { TenantDatabase } from "../../kernel/data/tenant-database.ts";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, oneOf, onlyId, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery, totalWanted } from "../../kernel/feature/page.ts";
import { exported, exportList, exportQuery } from "../../kernel/http/reply/export.ts";
import { defineError, type ErrorFactory, orThrow } from "../../kernel/lib/errors.ts";
import { Json } from "../../kernel/lib/json.ts";
import { createOrder, type OrderProblem } from "./create-order.ts";
import {
  changeStatus,
  deleteOrder,
  filterOf,
  findOrder,
  listOrders,
  type OrderTables,
  wholeOrders,
} from "./orders.queries.ts";
import { deletable, orderStatuses, statusesBefore } from "./orders.status.ts";

export const orderNotFound = defineError("order_not_found", 404, "There is no such order");
export const orderUserNotFound = defineError(
  "order_user_not_found",
  422,
  "The order's user does not exist",
);
export const orderProductNotFound = defineError(
  "order_product_not_found",
  422,
  "A product of the order does not exist",
);
export const orderProductInactive = defineError(
  "order_product_inactive",
  422,
  "A product of the order is inactive. Remove it, or activate the product.",
);
export const orderCurrenciesDiffer = defineError(
  "order_currencies_differ",
  422,
  "All products of an order must have the same currency. Place one order per currency.",
);
export const orderStatusConflict = defineError(
  "order_status_conflict",
  409,
  "The order's status does not allow this. Fetch the order and check its status.",
);

const problems: Readonly<Record<OrderProblem, ErrorFactory>> = {
  product_not_found: orderProductNotFound,
  product_inactive: orderProductInactive,
  currencies_differ: orderCurrenciesDiffer,
};

const Status = oneOf(orderStatuses);
const Amount = Type.String({ description: "An exact decimal.", examples: ["19.90"] });
const Quantity = Type.Integer({ minimum: 1, maximum: 10_000 });

const head = {
  id: uuid,
  number: Type.Integer({ description: "1, 2, 3 … within the tenant, without gaps." }),
  user_id: nullable(uuid),
  status: Status,
  currency: Type.String(),
  total: Amount,
  created_at: timestamp,
  updated_at: timestamp,
};
const OrderLine = Type.Object({
  product_id: uuid,
  quantity: Quantity,
  unit_price: Amount,
  line_total: Amount,
});
const OrderHead = Type.Object(head, { $id: "OrderHead" });
const Order = Type.Object({ ...head, lines: Type.Array(OrderLine) }, { $id: "Order" });
const NewOrder = Type.Object(
  {
    user_id: Type.Optional(nullable(uuid)),
    lines: Type.Array(Type.Object({ product_id: uuid, quantity: Quantity }), {
      minItems: 1,
      maxItems: 100,
    }),
  },
  { $id: "NewOrder" },
);
const OrderChanges = Type.Object({ status: Status }, { $id: "OrderChanges" });

export const orderEvents = {
  "order.created": { permission: "orders:read", data: Order },
  "order.updated": { permission: "orders:read", data: Order },
  "order.status_changed": { permission: "orders:read", data: Order },
  "order.deleted": { permission: "orders:read", data: onlyId },
};

export const orderRoutes = (r: RouteBuilder<OrderTables>) => [
  r.get(
    "/orders",
    {
      permission: "orders:read",
      summary: "Lists orders without their lines, newest first",
      query: pageQuery({
        status: Type.Optional(Status),
        user_id: Type.Optional(uuid),
        total: totalWanted,
      }),
      response: pageOf(OrderHead),
    },
    ({ db, query, page }) => listOrders(db, query, page),
  ),

  r.get(
    "/orders/export",
    {
      permission: "orders:read",
      audit: "orders.exported",
      summary: "Exports orders with their lines, newest first, as CSV or JSON lines",
      query: exportQuery({
        status: Type.Optional(Status),
        user_id: Type.Optional(uuid),
      }),
      response: exported,
      atATime: "exports",
    },
    ({ db, query, header }) =>
      exportList(
        { name: "orders", format: query.format, header },
        {
          row: Order,
          next: (page) => wholeOrders.part(db, { ...filterOf(query), ...page }),
        },
      ),
  ),

  r.post(
    "/orders",
    {
      permission: "orders:write",
      audit: { none: "everyday data" },
      summary: "Creates an order at the products' current prices",
      body: NewOrder,
      response: { 201: Order },
      errors: [
        orderUserNotFound,
        orderProductNotFound,
        orderProductInactive,
        orderCurrenciesDiffer,
      ],
    },
    async ({ body, events }) => {
      const order = await events.recording("order.created", (db) => createOrder(db, body));
      if (order instanceof Json) return order;
      throw problems[order]();
    },
  ),

  r.get(
    "/orders/:id",
    {
      permission: "orders:read",
      summary: "Returns an order with its lines",
      params: idParams,
      response: Order,
      etag: "orders",
      errors: [orderNotFound],
    },
    ({ db, params }) => findOrder.json(db, params).then(orThrow(orderNotFound)),
  ),

  r.patch(
    "/orders/:id",
    {
      permission: "orders:write",
      audit: { none: "everyday data" },
      summary: "Changes an order's status",
      description: "draft → placed → paid → shipped; the first three can be cancelled.",
      params: idParams,
      body: OrderChanges,
      response: Order,
      errors: [orderNotFound, orderStatusConflict],
    },
    async ({ db, events, params: { id }, body: { status } }) => {
      const changed = await events.recording(["order.updated", "order.status_changed"], (db) =>
        changeStatus.json(db, { id, status, from: statusesBefore(status) }),
      );
      return changed ?? refuse(db, id);
    },
  ),

  r.delete(
    "/orders/:id",
    {
      permission: "orders:write",
      audit: { none: "everyday data" },
      summary: "Deletes an order that is a draft or cancelled",
      params: idParams,
      response: { 204: null },
      errors: [orderNotFound, orderStatusConflict],
    },
    async ({ db, events, params: { id } }) => {
      const deleted = await events.recording("order.deleted", (db) =>
        deleteOrder.first(db, { id, from: deletable }),
      );
      if (!deleted) await refuse(db, id);
    },
  ),
];

/** Throws the reason why an order could not be changed. */
async function refuse(db: TenantDatabase<OrderTables>, id: string): Promise<never> {
  await findOrder.first(db, { id }).then(orThrow(orderNotFound));
  throw orderStatusConflict();
}
