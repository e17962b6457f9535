import { feature } from "../../kernel/feature/feature.ts";
import type { ProductTables } from "./products.queries.ts";
import { productEvents, productInUse, productRoutes, skuTaken } from "./products.routes.ts";

export { productSearch } from "./products.queries.ts";
export { productInUse };
/** The products that a tenant sells. */
export const products = feature<ProductTables>("products", {
  permissions: {
    "products:read": "See products",
    "products:write": "Create, change and delete products",
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["products"],
  constraints: { products_sku_key: skuTaken },
  events: productEvents,
  routes: productRoutes,
});
