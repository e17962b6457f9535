/** What a console or a generated client wants to know of an operation that OpenAPI has no words for. */

import type { Route } from "../../feature/feature.ts";
import { takesImpersonators } from "../../identity/personal.ts";
import type { JsonSchema } from "../../validation/schemas.ts";

/** Extensions of an operation, described in docs/api.md. */
export function hintsOf(route: Route): JsonSchema {
  const { permission, context = "tenant" } = route.options;
  const list = listOf(route);
  return {
    "x-permission": permission,
    "x-context": context,
    ...(permission !== "public" && !takesImpersonators(route) && { "x-personal": true }),
    ...(list && { "x-list": list }),
  };
}

const paging = new Set(["limit", "cursor", "total"]);

/** What a list can be filtered and sorted by; undefined if the route is none (`pageQuery`, `pageOf`). */
function listOf({ method, options: { query, response } }: Route): JsonSchema | undefined {
  const parameters = propertiesOf(query);
  const answer = propertiesOf(response);
  if (method !== "GET" || !("cursor" in parameters) || !("next_cursor" in answer)) return undefined;
  const names = Object.keys(parameters).filter((name) => !paging.has(name));
  const sorting = names.find((name) => name === "sort" || name === "order");
  return {
    filters: names.filter((name) => name !== sorting),
    order: sorting === undefined ? [] : textsOf(parameters[sorting]),
    ...(sorting !== undefined && { order_parameter: sorting }),
    total: "total" in parameters,
  };
}

const propertiesOf = (schema: unknown): Readonly<Record<string, JsonSchema>> =>
  Object(Object(schema).properties);

/** The texts that a schema allows, in their order: a union of constants, or an `enum`. */
const textsOf = (schema: JsonSchema | undefined): readonly unknown[] => {
  const { anyOf, enum: texts } = Object(schema);
  return Array.isArray(anyOf) ? anyOf.map((one) => Object(one).const) : (texts ?? []);
};
