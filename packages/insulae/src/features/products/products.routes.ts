import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import {
  idParams,
  nameText,
  nullable,
  onlyId,
  timestamp,
  uuid,
} from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery, searchText, totalWanted } from "../../kernel/feature/page.ts";
import { exported, exportList, exportQuery } from "../../kernel/http/reply/export.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import {
  createProduct,
  deleteProduct,
  findProduct,
  listProducts,
  nextProducts,
  type ProductTables,
  updateProduct,
} from "./products.queries.ts";

export const productNotFound = defineError("product_not_found", 404, "There is no such product");
export const skuTaken = defineError(
  "product_sku_taken",
  409,
  "Another product has this SKU. Choose another.",
);
/** Orders keep referring to their products. */
export const productInUse = defineError(
  "product_in_use",
  409,
  "The product is part of an order. Deactivate it instead.",
);

const Name = nameText(200);
const Sku = nullable(nameText(100));
const Description = nullable(Type.String({ maxLength: 10_000 }));
// Text, so that no client parses it as a binary float: 0.1 + 0.2 is 0.30 here.
const Price = Type.String({
  pattern: "^(0|[1-9][0-9]{0,9})(\\.[0-9]{1,2})?$",
  maxLength: 13,
  description: "An exact decimal.",
  examples: ["19.90"],
});
const Currency = Type.String({
  pattern: "^[A-Z]{3}$",
  description: "An ISO 4217 code.",
  examples: ["EUR"],
});

const Product = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    sku: nullable(Type.String()),
    description: Description,
    price: Price,
    currency: Currency,
    is_active: Type.Boolean({ description: "Only active products can be ordered." }),
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "Product" },
);

const details = {
  sku: Type.Optional(Sku),
  description: Type.Optional(Description),
  currency: Type.Optional(Currency),
  is_active: Type.Optional(Type.Boolean()),
};
const NewProduct = Type.Object({ name: Name, price: Price, ...details }, { $id: "NewProduct" });
const ProductChanges = Type.Object(
  { name: Type.Optional(Name), price: Type.Optional(Price), ...details },
  { $id: "ProductChanges", minProperties: 1 },
);

/** The SKU in the form in which it is compared: trimmed, NFC. */
const withCanonicalSku = <Body extends { readonly sku?: string | null }>(body: Body): Body =>
  // Bounded: by the length that the schema allows.
  body.sku ? { ...body, sku: body.sku.trim().normalize("NFC") } : body;

export const productEvents = {
  "product.created": { permission: "products:read", data: Product },
  "product.updated": { permission: "products:read", data: Product },
  "product.deleted": { permission: "products:read", data: onlyId },
};

export const productRoutes = (r: RouteBuilder<ProductTables>) => [
  r.get(
    "/products",
    {
      permission: "products:read",
      summary: "Lists products, newest first or by name",
      description: "`q` searches name, SKU and description, ignoring case.",
      query: pageQuery({
        q: searchText,
        is_active: Type.Optional(Type.Boolean()),
        sort: Type.Optional(Type.Union([Type.Literal("newest"), Type.Literal("name")])),
        total: totalWanted,
      }),
      response: pageOf(Product),
    },
    ({ db, query, page }) => listProducts(db, query, page),
  ),

  r.get(
    "/products/export",
    {
      permission: "products:read",
      audit: "products.exported",
      summary: "Exports products, newest first, as CSV or JSON lines",
      query: exportQuery({ q: searchText, is_active: Type.Optional(Type.Boolean()) }),
      response: exported,
      atATime: "exports",
    },
    ({ db, query, header }) =>
      exportList(
        { name: "products", format: query.format, header },
        {
          row: Product,
          next: (page) => nextProducts(db, query, page),
        },
      ),
  ),

  r.post(
    "/products",
    {
      permission: "products:write",
      audit: { none: "everyday data" },
      summary: "Adds a product",
      body: NewProduct,
      response: { 201: Product },
      errors: [skuTaken],
    },
    ({ body, events }) =>
      events.recording("product.created", (db) =>
        createProduct.jsonOrThrow(db, withCanonicalSku(body)),
      ),
  ),

  r.get(
    "/products/:id",
    {
      permission: "products:read",
      summary: "Returns a product",
      params: idParams,
      response: Product,
      etag: "products",
      errors: [productNotFound],
    },
    ({ db, params }) => findProduct.json(db, params).then(orThrow(productNotFound)),
  ),

  r.patch(
    "/products/:id",
    {
      permission: "products:write",
      audit: { none: "everyday data" },
      summary: "Changes a product. Existing orders keep their prices.",
      params: idParams,
      body: ProductChanges,
      response: Product,
      errors: [productNotFound, skuTaken],
    },
    ({ params, body, events }) =>
      events
        .recording("product.updated", (db) =>
          updateProduct.json(db, { ...withCanonicalSku(body), id: params.id }),
        )
        .then(orThrow(productNotFound)),
  ),

  r.delete(
    "/products/:id",
    {
      permission: "products:write",
      audit: { none: "everyday data" },
      summary: "Deletes a product that is not part of any order",
      params: idParams,
      response: { 204: null },
      errors: [productNotFound, productInUse],
    },
    async ({ params, events }) => {
      const deleting = events.recording("product.deleted", (db) => deleteProduct.first(db, params));
      await deleting.then(orThrow(productNotFound));
    },
  ),
];
