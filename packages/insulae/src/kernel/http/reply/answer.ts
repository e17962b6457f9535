/**
 * Turns a handler's return value into a response. `Json` text built by PostgreSQL is sent as it is;
 * a Kysely query is executed and its rows sent; an async iterable is streamed as fast as the client
 * reads; other values go through a serialiser of the response schema, which omits undeclared
 * members.
 */
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import { asError } from "../../lib/errors.ts";
import { Json } from "../../lib/json.ts";
import { takeInTime } from "../../lib/take-in-time.ts";
import { respellerOf } from "../../lib/times.ts";
import { textRespellerOf } from "../../lib/times-in-text.ts";
import { mediaTypesOf, plainSchema } from "../../validation/schemas.ts";
import { answerMismatch, type CheckJson } from "./answer-check.ts";
import { entityTagOf, tagRead } from "./preconditions.ts";

const jsonType = "application/json; charset=utf-8";

type Serialise = (value: unknown) => string;

/** Text, bytes, or no body. */
export type Payload = string | Buffer | undefined;

type Finish = () => Promise<void> | undefined;

export interface Answer {
  /**
   * Sends the value, or what it resolves to.
   *
   * @param finish called when the handler's value is there; returns undefined if there is nothing
   * to await
   */
  readonly send: (reply: FastifyReply, value: unknown, finish: Finish) => void;
  /** Like `send`, but sets the headers and returns the payload instead of sending it. */
  readonly render: (reply: FastifyReply, value: unknown) => Promise<Payload>;
  /** The JSON that would be sent for the value with status 200. */
  readonly text: (reply: FastifyReply, value: unknown) => string;
}

/** Which responses of a route get an `ETag`, and whether it is a GET. */
export interface TaggedAnswers {
  readonly statuses: ReadonlySet<number>;
  readonly read: boolean;
}

/**
 * @param responses the schemas by status; null for a response without body
 * @param name names the route in errors
 * @param check validates JSON before it is sent; absent in production
 */
export function createAnswer(
  responses: ReadonlyMap<number, object | null>,
  name: string,
  tagged?: TaggedAnswers,
  check?: CheckJson,
): Answer {
  const serialisers = new Map<number, Serialise>();
  const respellers = new Map<number, (json: string) => string>();

  /** The text of `Json`, with times in the one format of the API. */
  const jsonText = (status: number, { text }: Json): string => {
    let respell = respellers.get(status);
    if (!respell) {
      const schema = responses.get(status);
      respell = textRespellerOf(schema ?? {});
      respellers.set(status, respell);
    }
    return respell(text);
  };

  const serialiser = (reply: FastifyReply, status: number): Serialise => {
    const known = serialisers.get(status);
    if (known) return known;
    const schema = responses.get(status);
    if (!schema) throw new Error(`${name} returned a body, but its status ${status} has none`);
    // Compiled on first use, because compiling all at boot would delay the start.
    const write = reply.compileSerializationSchema({ ...plainSchema(schema) }) as Serialise;
    const respell = respellerOf(schema);
    const made: Serialise = (value) => write(respell(value));
    serialisers.set(status, made);
    return made;
  };

  const payloadOf = (reply: FastifyReply, value: unknown): Payload => {
    if (value instanceof Json) {
      reply.type(jsonType);
      const text = jsonText(reply.statusCode, value);
      check?.(reply.statusCode, text);
      return text;
    }
    const status = reply.statusCode;
    if (value === undefined) {
      if (responses.get(status) !== null) {
        throw new Error(`${name} returned nothing, but its status ${status} has a body`);
      }
      return undefined;
    }
    if (isRaw(value) && reply.hasHeader("content-type")) {
      if (check) requireDeclaredType(reply);
      return value;
    }
    reply.type(jsonType);
    const text = serialiser(reply, status)(value);
    check?.(status, text);
    return text;
  };

  /** The content type of a non-JSON response must be one that its status declares. */
  const requireDeclaredType = (reply: FastifyReply): void => {
    const type = String(reply.getHeader("content-type")).split(";", 1)[0] ?? "";
    const schema = responses.get(reply.statusCode);
    const declared = schema ? mediaTypesOf(schema) : [];
    if (declared.includes(type) || declared.includes("*/*")) return;
    throw answerMismatch(
      `${name} answered ${reply.statusCode} with content type ${type}, which it does not declare`,
    );
  };

  const tag = (reply: FastifyReply, payload: Payload): Payload => {
    if (typeof payload !== "string" || !tagged?.statuses.has(reply.statusCode)) return payload;
    if (tagged.read) return tagRead(reply, payload);
    reply.header("etag", entityTagOf(payload));
    return payload;
  };

  const sendNow = (reply: FastifyReply, value: unknown): void => {
    if (isQuery(value)) later(reply, value.execute());
    else if (isStream(value) && reply.hasHeader("content-type")) {
      if (check) requireDeclaredType(reply);
      // Not in object mode, so that buffering is by bytes, not by number of pieces.
      reply.send(Readable.from(takeInTime(value, reply.raw), { objectMode: false }));
    } else reply.send(tag(reply, payloadOf(reply, value)));
  };

  const fail = (reply: FastifyReply, error: unknown): void => {
    reply.send(asError(error));
  };

  const sendFinished = (reply: FastifyReply, value: unknown, finish?: Finish): void => {
    const finishing = finish?.();
    if (finishing)
      later(
        reply,
        finishing.then(() => value),
      );
    else sendNow(reply, value);
  };

  const later = (reply: FastifyReply, promise: PromiseLike<unknown>, finish?: Finish): void => {
    promise.then(
      (value) => {
        try {
          sendFinished(reply, value, finish);
        } catch (error) {
          fail(reply, error);
        }
      },
      (error: unknown) => fail(reply, error),
    );
  };

  return {
    send(reply, value, finish) {
      if (isPromise(value)) later(reply, value, finish);
      else sendFinished(reply, value, finish);
    },
    async render(reply, value) {
      return payloadOf(reply, await settle(value));
    },
    text: (reply, value) =>
      value instanceof Json ? jsonText(200, value) : serialiser(reply, 200)(value),
  };
}

/** Awaits the promise, or executes the query. */
export async function settle(value: unknown): Promise<unknown> {
  const settled = await value;
  return isQuery(settled) ? settled.execute() : settled;
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

/** A Kysely query that has not been executed. */
function isQuery(value: unknown): value is { execute: () => Promise<unknown[]> } {
  return (
    typeof value === "object" &&
    value !== null &&
    "compile" in value &&
    typeof value.compile === "function" &&
    "execute" in value &&
    typeof value.execute === "function"
  );
}

/** Text or bytes in pieces, such as an async generator's, of a type other than JSON. */
function isStream(value: unknown): value is AsyncIterable<string | Uint8Array> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/** Text or bytes whose `content-type` the handler has set. */
function isRaw(value: unknown): value is string | Buffer {
  return typeof value === "string" || Buffer.isBuffer(value);
}
