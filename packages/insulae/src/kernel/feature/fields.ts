/** The fields that most resources have. */
import { type TSchema, Type } from "typebox";
import type { MediaText, TimeText } from "./answer-type.ts";

export const uuid = Type.String({ format: "uuid" });

/** A time that needs a word of explanation. */
export const time = (description?: string) =>
  Type.Unsafe<TimeText>(
    Type.String({ format: "date-time", ...(description !== undefined && { description }) }),
  );

/** A time. In an answer a handler gives a `Date`, or text that PostgreSQL or `toISOString()` has made. */
export const timestamp = time();

/** The schema of an answer that is not JSON: the handler sets `content-type`, and gives text, bytes or pieces. */
export const mediaText = (
  contentMediaType: string,
  options: { readonly description?: string } = {},
) => Type.Unsafe<MediaText>(Type.String({ contentMediaType, ...options }));

/**
 * The pattern of text in one line: no control characters, and neither of Unicode's line breaks. Ranges,
 * since some readers of an OpenAPI document don't know `\p{Cc}`.
 */
export const oneLine = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$";

/**
 * A name in one line, of whatever: something of it is seen, and it has no control or invisible characters,
 * and none that turn the direction of text. Two names that look the same are not told apart by what nobody sees.
 * Of bodies only: what is stored may be older than this rule.
 *
 * @example
 * Type.Object({ title: nameText(300), company: nameText(200, { minLength: 0 }) })
 */
export const nameText = (maxLength: number, options: { readonly minLength?: number } = {}) =>
  Type.String({ minLength: 1, maxLength, format: "name", ...options });

/** One of these texts. */
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

/** A field that may be empty. */
export const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

/** What an event tells of something that is no more. */
export const onlyId = Type.Object({ id: uuid });

/** The params of `/things/:id`. */
export const idParams = Type.Object({ id: uuid });

/**
 * Text of an answer that is a secret: a token, a key, a password. An answer that has one is never
 * kept anywhere, so its route takes no `Idempotency-Key`.
 */
export const secretText = (description: string, maxLength?: number) =>
  Type.String({ description, "x-secret": true, ...(maxLength !== undefined && { maxLength }) });
