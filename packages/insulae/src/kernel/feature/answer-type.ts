/**
 * What a handler may return, by its route's `response`: a mismatch is a compile error. Nothing of this is
 * there at run time. (In development and in tests each answer is checked against its schema as well, see
 * http/reply/answer-check.ts.)
 *
 * TypeScript does not look for properties too many, except in object literals. The serialiser leaves those
 * of an object out; `Json` is sent as it is, so its type carries the names that its text has.
 */
import type { Static, TSchema } from "typebox";
import type { Json, NamesIn } from "../lib/json.ts";
import type { OutgoingSocket } from "../lib/outgoing-socket.ts";

/** One schema (status 200), or schemas by status; `null` is an answer without a body (204). */
export type ResponseSchemas = TSchema | { readonly [status: number]: TSchema | null };

declare const time: unique symbol;
declare const media: unique symbol;

/** Text that is a time: a handler may give a `Date` for it. The type of `timestamp`. */
export type TimeText = string & { readonly [time]?: never };

/** The text of another media type than JSON: a handler may give bytes, or either in pieces. */
export type MediaText = string & { readonly [media]?: never };

/** The statuses that a route declares. */
export type StatusOf<R> = TSchema extends R ? number : keyof R extends number ? keyof R : 200;

/** What the declared answers look like; undefined: without a body. A schema's own keys are strings. */
type BodyOf<R> = TSchema extends R
  ? unknown
  : keyof R extends number
    ? { [Status in keyof R]: R[Status] extends TSchema ? Static<R[Status]> : undefined }[keyof R]
    : Static<R & TSchema>;

/** The values that are written as what `T` describes. */
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

/** JSON leaves out what is undefined. */
type IfOptional<T, Name extends keyof T> =
  Record<never, never> extends Pick<T, Name> ? undefined : never;

/** A query of Kysely that has not been run: its rows are the answer. */
interface Query<Rows> {
  compile(): unknown;
  execute(): Promise<Rows>;
}

type Pieces = string | Uint8Array;

/** What is sent as JSON. */
type Plain<Body> = Body extends undefined ? never : typeof media extends keyof Body ? never : Body;

type JsonOf<Body> = [Body] extends [never]
  ? never
  : Writable<Body> | Json<Writable<Body>, NamesIn<Body>>;

/** Rows are what only a list answers with. */
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
      // biome-ignore lint/suspicious/noConfusingVoidType: what a handler without `return` gives
      | (undefined extends Body ? undefined | void : never);

/** The same of JSON text: what it describes. */
type Described<Given> = Given extends Json<infer T, unknown> ? T : Given;
/** The names that JSON text has; the serialiser leaves out of a value what the response does not name. */
type NamesOf<Given> = Given extends Json<unknown, infer Names> ? Names : never;

/** What is wrong with an answer, for whoever reads the compiler's error. */
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
 * What a handler gives, if it is an answer of the route, now or later; otherwise what is wrong with it. It is
 * a type of its own, and not a constraint, so that the compiler's error is a line that says it in words.
 *
 * @typeParam Given the whole of what is returned. (Of `Given | Promise<Given>` the compiler would take the
 *   first part of a union for all of it.)
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
 * What a handler may return where its route declares these answers: a value of the response schema (with a
 * `Date` or text for a `timestamp`), a statement's `Json`, for a list a Kysely query, nothing where the
 * answer has no body, for a WebSocket (101) what speaks over it, and for a schema by `mediaText()` text,
 * bytes, or an async iterable of either.
 */
export type Answer<R> = 101 extends keyof R
  ? (socket: OutgoingSocket) => void
  : AnswerOf<BodyOf<R>>;
