/**
 * The types of what a handler may return for its route's `response`: a mismatch is a compile error.
 * No run-time code. (In development and tests, responses are also validated: see
 * http/reply/answer-check.ts.)
 *
 * TypeScript checks excess properties only in object literals. The serialiser drops excess members
 * of an object; `Json` is sent as it is, so its type carries the names in its text.
 */
import type { Static, TSchema } from "typebox";
import type { Json, NamesIn } from "../lib/json.ts";
import type { OutgoingSocket } from "../lib/outgoing-socket.ts";

/** One schema (status 200), or schemas by status; `null` for a response without body (204). */
export type ResponseSchemas = TSchema | { readonly [status: number]: TSchema | null };

declare const time: unique symbol;
declare const media: unique symbol;

/** A time as text; a handler may return a `Date` for it. The type of `timestamp`. */
export type TimeText = string & { readonly [time]?: never };

/** Text of a media type other than JSON; a handler may return bytes, or either in pieces. */
export type MediaText = string & { readonly [media]?: never };

/** The statuses that a route declares. */
export type StatusOf<R> = TSchema extends R ? number : keyof R extends number ? keyof R : 200;

/** The declared bodies; undefined: no body. A schema's own keys are strings, not numbers. */
type BodyOf<R> = TSchema extends R
  ? unknown
  : keyof R extends number
    ? { [Status in keyof R]: R[Status] extends TSchema ? Static<R[Status]> : undefined }[keyof R]
    : Static<R & TSchema>;

/** The values that can be written as `T`. */
export type Writable<T> = unknown extends T
  ? unknown
  : T extends string
    ? typeof time extends keyof T
      ? string | Date
      : T
    : T extends readonly (infer Item)[]
      ? readonly Writable<Item>[]
      : T extends object
        ? { readonly [Name in keyof T]: Writable<T[Name]> | IfOptional<T, Name> }
        : T;

/** JSON omits undefined members. */
type IfOptional<T, Name extends keyof T> =
  Record<never, never> extends Pick<T, Name> ? undefined : never;

/** A Kysely query that has not been executed; its rows are the response. */
interface Query<Rows> {
  compile(): unknown;
  execute(): Promise<Rows>;
}

type Pieces = string | Uint8Array;

/** Bodies sent as JSON. */
type Plain<Body> = Body extends undefined ? never : typeof media extends keyof Body ? never : Body;

type JsonOf<Body> = [Body] extends [never]
  ? never
  : Writable<Body> | Json<Writable<Body>, NamesIn<Body>>;

/** Rows are a response only for lists. */
type RowsOf<Body> = Body extends readonly unknown[] ? Query<Writable<Body>> : never;

type MediaOf<Body> = Body extends string
  ? typeof media extends keyof Body
    ? Pieces | AsyncIterable<Pieces>
    : never
  : never;

type AnswerOf<Body> = unknown extends Body
  ? unknown
  :
      | JsonOf<Plain<Body>>
      | RowsOf<Body>
      | MediaOf<Body>
      // biome-ignore lint/suspicious/noConfusingVoidType: the type of a handler without `return`
      | (undefined extends Body ? undefined | void : never);

/** What JSON text describes; other types unchanged. */
type Described<Given> = Given extends Json<infer T, unknown> ? T : Given;
/**
 * The names in JSON text; for other values irrelevant, because the serialiser drops undeclared
 * members.
 */
type NamesOf<Given> = Given extends Json<unknown, infer Names> ? Names : never;

/** What is wrong with a response, readable in the compiler's error. */
type Mismatch<Given, Body> = [Body] extends [undefined]
  ? { readonly "The response has no body. The answer is": Given }
  : undefined extends Given
    ? { readonly "The answer may be undefined. The response has a body": Body }
    : Exclude<keyof Body, keyof Given> extends infer Lacking extends keyof Body
      ? [RequiredOf<Body, Lacking>] extends [never]
        ? { readonly "The answer has another type than the response": WrongParts<Given, Body> }
        : { readonly "The answer lacks what the response has": RequiredOf<Body, Lacking> }
      : never;

type WrongParts<Given, Body> = [WrongIn<Given, Body>] extends [never]
  ? { readonly given: Given; readonly declared: Body }
  : {
      readonly [Name in WrongIn<Given, Body>]: Wrong<
        Given[Name & keyof Given],
        Body[Name & keyof Body]
      >;
    };

type Wrong<Given, Body> = [Given, Body] extends [
  readonly (infer GivenItem)[],
  readonly (infer Item)[],
]
  ? Mismatch<GivenItem, Item>
  : { readonly given: Given; readonly declared: Body };

type RequiredOf<Body, Name extends keyof Body> = Name extends unknown
  ? Record<never, never> extends Pick<Body, Name>
    ? never
    : Name
  : never;

type WrongIn<Given, Body> = {
  [Name in keyof Given & keyof Body]-?: Given[Name] extends Body[Name] ? never : Name;
}[keyof Given & keyof Body];

/**
 * `Given` if it is a valid response of the route, now or later; otherwise a type that says what is
 * wrong. A type rather than a constraint, so that the compiler's error is one readable line.
 *
 * @typeParam Given the whole return type (for `Given | Promise<Given>` the compiler would infer
 * only the first part of a union)
 */
export type Checked<Given, R> = [Awaited<Given>] extends [Answer<R>]
  ? Given
  : WrongAnswer<Awaited<Given>, R>;

type WrongAnswer<Given, R> = [Exclude<NamesOf<Given>, NamesIn<BodyOf<R>>>] extends [never]
  ? Mismatch<Described<Given>, Writable<BodyOf<R>>>
  : {
      readonly "The answer has columns that the response does not name": Exclude<
        NamesOf<Given>,
        NamesIn<BodyOf<R>>
      >;
    };

/**
 * What a handler of a route with these responses may return: a value of the response schema (with
 * `Date` or text for a `timestamp`), a statement's `Json`, for a list a Kysely query, nothing if
 * there is no body, for a WebSocket (101) a function that uses it, and for a `mediaText()` schema
 * text, bytes, or an async iterable of either.
 */
export type Answer<R> = 101 extends keyof R
  ? (socket: OutgoingSocket) => void
  : AnswerOf<BodyOf<R>>;
