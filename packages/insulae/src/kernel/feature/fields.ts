/** Schemas of common fields. */
import { type TSchema, Type } from "typebox";
import type { MediaText, TimeText } from "./answer-type.ts";

export const uuid = Type.String({ format: "uuid" });

/** A `timestamp` with a description. */
export const time = (description?: string) =>
  Type.Unsafe<TimeText>(
    Type.String({ format: "date-time", ...(description !== undefined && { description }) }),
  );

/** A time. In a response, return a `Date`, or text from PostgreSQL or `toISOString()`. */
export const timestamp = time();

/**
 * The schema of a response that is not JSON: the handler sets `content-type` and returns text,
 * bytes or an async iterable of them.
 */
export const mediaText = (
  contentMediaType: string,
  options: { readonly description?: string } = {},
) => Type.Unsafe<MediaText>(Type.String({ contentMediaType, ...options }));

/**
 * The pattern of single-line text: no control characters, no Unicode line breaks. Uses ranges,
 * because some OpenAPI tools don't support `\p{Cc}`.
 */
export const oneLine = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$";

/**
 * A single-line name: with a visible character, and without control, invisible or
 * bidirectional-formatting characters, so that names that look the same are the same. For request
 * bodies only: stored names may be older than this rule.
 *
 * @example
 * Type.Object({ title: nameText(300), company: nameText(200, { minLength: 0 }) })
 */
export const nameText = (maxLength: number, options: { readonly minLength?: number } = {}) =>
  Type.String({ minLength: 1, maxLength, format: "name", ...options });

/** An enumeration of strings. */
export const oneOf = <const Value extends string>(
  values: readonly Value[],
  options: { readonly description?: string } = {},
) =>
  Type.Unsafe<Value>(
    Type.Union(
      values.map((value) => Type.Literal(value)),
      options,
    ),
  );

export const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

/** The data of an event about something deleted. */
export const onlyId = Type.Object({ id: uuid });

/** The params of `/things/:id`. */
export const idParams = Type.Object({ id: uuid });

/**
 * A secret in a response: a token, key or password. Such a response is never stored, so the route
 * accepts no `Idempotency-Key`.
 */
export const secretText = (description: string, maxLength?: number) =>
  Type.String({ description, "x-secret": true, ...(maxLength !== undefined && { maxLength }) });
