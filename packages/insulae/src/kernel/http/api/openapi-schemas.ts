/**
 * Converts schemas for the OpenAPI document (JSON Schema 2020-12); named ones become components.
 */
import { type JsonSchema, mapSubschemas } from "../../validation/schemas.ts";

export type Components = Map<string, JsonSchema>;

/** The converted schema, or a reference if it has a name. */
export function asComponent(schema: JsonSchema, components: Components): JsonSchema {
  const name = nameOf(schema);
  const plain = inDialect(schema, components);
  if (name === undefined) return plain;
  const known = [name, ...Array.from({ length: 20 }, (_, i) => `${name}${i + 2}`)].find(
    (candidate) => {
      const other = components.get(candidate);
      return other === undefined || JSON.stringify(other) === JSON.stringify(plain);
    },
  );
  if (known === undefined) return plain;
  components.set(known, plain);
  return { $ref: `#/components/schemas/${known}` };
}

function inDialect(schema: JsonSchema, components: Components): JsonSchema {
  const copy: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "$id") continue;
    copy[keyword] = mapSubschemas(keyword, value, (inner) => asComponent(inner, components));
  }
  const values = literalsOf(copy.anyOf);
  if (values) {
    delete copy.anyOf;
    return { ...copy, type: typeof values[0], enum: values };
  }
  // TypeBox writes tuples as draft 7 does; OpenAPI 3.1 uses draft 2020-12.
  if (Array.isArray(copy.items)) {
    copy.prefixItems = copy.items;
    copy.items = copy.additionalItems ?? true;
    delete copy.additionalItems;
  }
  return copy;
}

/** The values of a union of literals; tools show an `enum` as a choice. */
function literalsOf(union: unknown): readonly (string | number)[] | undefined {
  if (!Array.isArray(union) || union.length === 0) return undefined;
  const values = union.map((schema: JsonSchema) =>
    Object.keys(schema).every((keyword) => keyword === "const" || keyword === "type")
      ? schema.const
      : undefined,
  );
  return (["string", "number"] as const).some((type) =>
    values.every((value) => typeof value === type),
  )
    ? (values as (string | number)[]) // all literals, checked above
    : undefined;
}

function nameOf(schema: JsonSchema): string | undefined {
  const name = schema.$id ?? schema.title;
  return typeof name === "string" && /^[A-Za-z][A-Za-z0-9._-]*$/.test(name) ? name : undefined;
}
