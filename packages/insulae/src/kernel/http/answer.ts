/**
 * Turns what a handler returned into an answer. Text that PostgreSQL built (`Json`) is passed on as
 * it is; a Kysely query is run and its rows are the answer; other values are written by a serialiser
 * made from the response's schema, which leaves out what the schema does not name.
 */
import type { FastifyReply } from "fastify";
import { Json } from "../json.ts";
import { plainSchema } from "./schemas.ts";

const jsonType = "application/json; charset=utf-8";

type Serialise = (value: unknown) => string;

/** Sends one value, or what a promise of it becomes. */
export type Answer = (reply: FastifyReply, value: unknown) => void;

/**
 * @param responses the schemas by status; null where the answer has no body.
 * @param name names the route in errors.
 */
export function createAnswer(responses: ReadonlyMap<number, object | null>, name: string): Answer {
  const serialisers = new Map<number, Serialise>();

  const serialiser = (reply: FastifyReply, status: number): Serialise => {
    const known = serialisers.get(status);
    if (known) return known;
    const schema = responses.get(status);
    if (!schema) throw new Error(`${name} answered something where status ${status} has no body`);
    // Compiled at the first answer, not at boot: a start would wait for those of all routes.
    const made = reply.compileSerializationSchema({ ...plainSchema(schema) }) as Serialise;
    serialisers.set(status, made);
    return made;
  };

  const send = (reply: FastifyReply, value: unknown): void => {
    if (value instanceof Json) {
      reply.type(jsonType).send(value.text);
      return;
    }
    if (isQuery(value)) {
      later(reply, value.execute());
      return;
    }
    const status = reply.statusCode;
    if (value === undefined) {
      if (responses.get(status) !== null) {
        throw new Error(`${name} answered nothing where status ${status} has a body`);
      }
      reply.send();
      return;
    }
    if (isRaw(value) && reply.hasHeader("content-type")) {
      reply.send(value);
      return;
    }
    reply.type(jsonType).send(serialiser(reply, status)(value));
  };

  const fail = (reply: FastifyReply, error: unknown): void => {
    reply.send(asError(error));
  };

  const later = (reply: FastifyReply, promise: PromiseLike<unknown>): void => {
    promise.then(
      (value) => {
        try {
          send(reply, value);
        } catch (error) {
          fail(reply, error);
        }
      },
      (error: unknown) => fail(reply, error),
    );
  };

  return (reply, value) => {
    if (isPromise(value)) later(reply, value);
    else send(reply, value);
  };
}

/** What a handler's value comes to: the promise awaited, the query run. */
export async function settle(value: unknown): Promise<unknown> {
  const settled = await value;
  return isQuery(settled) ? settled.execute() : settled;
}

/** What was thrown, as an error: Fastify takes nothing else for one. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
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

/** Text or bytes of another type than JSON, which the handler has named in `content-type`. */
function isRaw(value: unknown): boolean {
  return typeof value === "string" || Buffer.isBuffer(value);
}
