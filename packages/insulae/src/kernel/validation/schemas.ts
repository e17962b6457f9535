/**
 * Closes and bounds request schemas: unknown properties are refused, and strings and lists that the
 * author left unbounded get a bound.
 */
import { stringFormats } from "./formats.ts";

/** A part of a request. Only the body has types; params and query are text. */
export type RequestPart = "params" | "query" | "body";

interface Bounds {
  readonly maxLength: number;
  readonly maxItems: number;
}

const bounds: Readonly<Record<RequestPart, Bounds>> = {
  params: { maxLength: 500, maxItems: 100 },
  query: { maxLength: 500, maxItems: 100 },
  body: { maxLength: 10_000, maxItems: 1_000 },
};

/** JSON Schema as plain data. TypeBox's own additions are not enumerable and are dropped. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Makes the validator convert a string to lower case. */
export const lowerCase = "x-lower-case";

/** A copy in which every object is closed and every string and array is bounded. */
export const closedSchema = (schema: object, part: RequestPart): JsonSchema =>
  closed(schema, bounds[part]);

/** A copy in which every object is closed. Responses need no bounds. */
export const closedAnswer = (schema: object): JsonSchema => closed(schema, undefined);

function closed(schema: object, bound: Bounds | undefined): JsonSchema {
  const source = schema as JsonSchema; // a schema is an object of keywords
  const copy: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(source)) {
    if (keyword === "$id") continue; // one validator may meet a schema several times
    copy[keyword] = mapSubschemas(keyword, value, (inner) => closed(inner, bound));
  }
  if (source.type === "object" || source.properties !== undefined) {
    copy.additionalProperties ??= false;
  }
  if (!bound) return copy;
  if (source.type === "string" && !("enum" in source || "const" in source)) {
    copy.maxLength ??= bound.maxLength;
  }
  // Ids get one form, so that they can be compared as text.
  if (source.format === "uuid") copy[lowerCase] = true;
  if (source.type === "array") copy.maxItems ??= bound.maxItems;
  return copy;
}

/**
 * Finds mistakes in a schema. Called at start, because validators are compiled only on their first
 * request.
 */
export function schemaProblems(schema: object): string[] {
  const problems: string[] = [];
  visit(schema as JsonSchema, (inner) => {
    if (hasUndefinedPart(inner)) {
      problems.push(
        "a schema in it is undefined: its import is misspelt or part of an import cycle",
      );
    }
    const format = inner.format;
    if (typeof format === "string" && stringFormats[format] === undefined) {
      problems.push(`format "${format}" is not known`);
    }
    if (typeof inner.pattern === "string" && !compiles(inner.pattern)) {
      problems.push(`pattern ${JSON.stringify(inner.pattern)} is not a regular expression`);
    }
    if ("allOf" in inner) problems.push("an intersection cannot be closed; use Type.Evaluate()");
    if ("$ref" in inner) problems.push("references are not resolved; use the schema itself");
  });
  return problems;
}

function visit(schema: JsonSchema, look: (schema: JsonSchema) => void): void {
  look(schema);
  for (const [keyword, value] of Object.entries(schema)) {
    mapSubschemas(keyword, value, (inner) => {
      if (inner !== undefined) visit(inner, look);
    });
  }
}

const hasUndefinedPart = (schema: JsonSchema): boolean =>
  Object.entries(schema).some(([keyword, value]) => {
    if (single.has(keyword) && value === undefined) return true;
    if (several.has(keyword) && Array.isArray(value)) return value.includes(undefined);
    return named.has(keyword) && Object.values(Object(value)).includes(undefined);
  });

const single = new Set(["items", "additionalItems", "additionalProperties", "not", "contains"]);
const several = new Set(["anyOf", "oneOf", "allOf", "items", "prefixItems"]);
const named = new Set(["properties", "patternProperties", "$defs", "definitions"]);

/** Applies `change` to the schemas inside a keyword's value. Other values stay unchanged. */
export function mapSubschemas(
  keyword: string,
  value: unknown,
  change: (schema: JsonSchema) => unknown,
): unknown {
  if (Array.isArray(value)) return several.has(keyword) ? value.map(change) : value;
  if (typeof value !== "object" || value === null) return value;
  if (single.has(keyword)) return change(value as JsonSchema);
  if (!named.has(keyword)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, change(inner)]));
}

function compiles(pattern: string): boolean {
  try {
    new RegExp(pattern, "u"); // Bounded: nothing is matched, it is only compiled.
    return true;
  } catch {
    return false;
  }
}

/** A copy without `$id`, which must not be repeated where a schema is used several times. */
export function plainSchema(schema: object): JsonSchema {
  const copy: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword !== "$id") copy[keyword] = mapSubschemas(keyword, value, plainSchema);
  }
  return copy;
}

/** Whether any part of a schema is marked as a secret (`secretText` of fields.ts). */
export function hasSecret(schema: object): boolean {
  let found = false;
  visit(schema as JsonSchema, (part) => {
    found ||= part["x-secret"] === true;
  });
  return found;
}

/**
 * The named schemas (`$id`) in it with their text: schemas of the same name must have the same
 * text.
 */
export function namedSchemas(schema: object): readonly (readonly [id: string, text: string])[] {
  const found: (readonly [string, string])[] = [];
  visit(schema as JsonSchema, (part) => {
    if (typeof part.$id === "string") found.push([part.$id, JSON.stringify(part)]);
  });
  return found;
}

/**
 * The media types of a response. Text that is not JSON declares its type with `contentMediaType`.
 */
export function mediaTypesOf(schema: object): string[] {
  const { anyOf = [], contentMediaType } = schema as JsonSchema; // a schema is an object of keywords
  const types = [contentMediaType, ...(anyOf as JsonSchema[]).map((each) => each.contentMediaType)];
  return types.filter((type) => typeof type === "string");
}
