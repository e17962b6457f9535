import { feature } from "../../kernel/feature/feature.ts";
import { productInUse } from "../products/products.feature.ts";
import type { OrderTables } from "./orders.queries.ts";
import { orderEvents, orderRoutes, orderUserNotFound } from "./orders.routes.ts";

/** Orders for products, at the prices of the time. */
export const orders = feature<OrderTables>("orders", {
  permissions: {
    "orders:read": "See orders",
    "orders:write": "Create, change and delete orders",
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["orders", "order_lines", "order_counters"],
  dependsOn: ["users", "products"],
  constraints: {
    orders_user_id_fkey: orderUserNotFound,
    // Only deleting a product can violate this: creating an order locks its products first.
    order_lines_product_id_fkey: productInUse,
  },
  events: orderEvents,
  routes: orderRoutes,
});
