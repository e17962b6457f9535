/**
 * Turns what a handler returned into an answer. Text that PostgreSQL built (`Json`) is passed on as
 * it is; a Kysely query is run and its rows are the answer; what gives text piece by piece is sent
 * piece by piece, as fast as the client takes it; other values are written by a serialiser made from
 * the response's schema, which leaves out what the schema does not name.
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

/** What is sent: text, bytes, or nothing. */
export type Payload = string | Buffer | undefined;

type Finish = () => Promise<void> | undefined;

export interface Answer {
  /**
   * Sends one value, or what a promise of it becomes.
   *
   * @param finish what is to be done once the handler has given it; undefined: nothing to wait for.
   */
  readonly send: (reply: FastifyReply, value: unknown, finish: Finish) => void;
  /** The same, short of sending it: sets the headers, and gives what is to be sent. */
  readonly render: (reply: FastifyReply, value: unknown) => Promise<Payload>;
  /** The JSON that would be sent for the value with status 200. */
  readonly text: (reply: FastifyReply, value: unknown) => string;
}

/** Which answers of a route get an `ETag`, and whether they are those of a GET. */
export interface TaggedAnswers {
  readonly statuses: ReadonlySet<number>;
  readonly read: boolean;
}

/**
 * @param responses the schemas by status; null where the answer has no body.
 * @param name names the route in errors.
 * @param check what checks JSON before it is sent; without it, what is sent is not looked at again.
 */
export function createAnswer(
  responses: ReadonlyMap<number, object | null>,
  name: string,
  tagged?: TaggedAnswers,
  check?: CheckJson,
): Answer {
  const serialisers = new Map<number, Serialise>();
  const respellers = new Map<number, (json: string) => string>();

  /** The text of `Json`, with its times in the one spelling. */
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
    if (!schema) throw new Error(`${name} answered something where status ${status} has no body`);
    // Compiled at the first answer, not at boot: a start would wait for those of all routes.
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
        throw new Error(`${name} answered nothing where status ${status} has a body`);
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

  /** The type of what is no JSON has to be one that the schema of its status names. */
  const requireDeclaredType = (reply: FastifyReply): void => {
    const type = String(reply.getHeader("content-type")).split(";", 1)[0] ?? "";
    const schema = responses.get(reply.statusCode);
    const declared = schema ? mediaTypesOf(schema) : [];
    if (declared.includes(type) || declared.includes("*/*")) return;
    throw answerMismatch(
      `${name} answered ${reply.statusCode} with the type ${type}, which it does not declare`,
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
      // Not in object mode, so that pieces are buffered by their size, not by their number.
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

/** What a handler's value comes to: the promise awaited, the query run. */
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

/** A query of Kysely that has not been run. */
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

/** Text or bytes of another type than JSON, piece by piece; such as an async generator's. */
function isStream(value: unknown): value is AsyncIterable<string | Uint8Array> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/** Text or bytes of another type than JSON, which the handler has named in `content-type`. */
function isRaw(value: unknown): value is string | Buffer {
  return typeof value === "string" || Buffer.isBuffer(value);
}
