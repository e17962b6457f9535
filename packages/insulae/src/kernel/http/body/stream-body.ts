/**
 * Bodies that a handler reads as they come, and that are never in memory as a whole: a form with one
 * file in it, or bytes alone. A route declares one in place of a JSON schema, and finds in `body` what
 * reads it:
 *
 *   body: uploadForm(Fields, { maxBytes })    ({ body }) => body.receive((file) => …)
 *   body: bytesBody({ maxBytes })             ({ body }) => … body.bytes
 *
 * Nothing is read before the request was found to be permitted. An answer that is given before the
 * body's end closes the connection, since nobody wants the rest of it.
 */
import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Static, type TObject, type TProperties, Type } from "typebox";
import type { Route } from "../../feature/feature.ts";
import { bodyTooLarge, encodedBody, wrongMediaType } from "../../lib/http-errors.ts";
import type { Validators } from "../../validation/validation.ts";
import { maxFieldBytes, receiveForm, type UploadedFile } from "./multipart.ts";

/** The keyword of a body's schema that says how it is read, with its largest number of bytes. */
const keyword = "x-stream";

interface StreamKind {
  readonly kind: "form" | "bytes";
  readonly maxBytes: number;
  /** The only type that is taken; absent: any. */
  readonly type?: string;
}

/** A form's fields, and then its one file. */
export interface UploadForm<Fields> {
  /** How long the whole form says it is; the file is shorter. */
  readonly length: number | undefined;
  /**
   * Reads the form. The fields have been checked when `take` gets the file, and `take` reads all of
   * it, or throws. It is called once, and what it gives is given once the whole form was well formed.
   *
   * @throws malformedForm, validationFailed, bodyTooLarge, or what `take` throws
   */
  receive<T>(take: (file: UploadedFile<Fields>) => Promise<T>): Promise<T>;
}

export interface BodyBytes {
  /** As the client names it; perhaps the empty text. */
  readonly type: string;
  /** How many the request says there are. */
  readonly length: number | undefined;
  /** @throws bodyTooLarge while they are read, once there are too many */
  readonly bytes: AsyncIterable<Buffer>;
}

/** The body of a form with the fields, and a `file` after them. @param maxBytes of the file. */
export function uploadForm<Properties extends TProperties>(
  fields: TObject<Properties>,
  { maxBytes }: { readonly maxBytes: number },
) {
  const file = {
    type: "string",
    contentMediaType: "application/octet-stream",
    description: `The file itself, the last part of the form; at most ${maxBytes} bytes.`,
  };
  return Type.Unsafe<UploadForm<Static<TObject<Properties>>>>({
    ...fields,
    properties: { ...fields.properties, file },
    required: [...(fields.required ?? []), "file"],
    [keyword]: { kind: "form", maxBytes } satisfies StreamKind,
  });
}

/** A body of bytes, of any type or the one that is named. */
export const bytesBody = (options: { readonly maxBytes: number; readonly type?: string }) =>
  Type.Unsafe<BodyBytes>({
    type: "string",
    contentMediaType: options.type ?? "application/octet-stream",
    [keyword]: { kind: "bytes", ...options } satisfies StreamKind,
  });

/** How a route's body is read, if it is not JSON. */
export function streamKindOf(route: Pick<Route, "options">): StreamKind | undefined {
  const found: unknown = route.options.body && Reflect.get(route.options.body, keyword);
  return found as StreamKind | undefined; // the keyword is ours alone
}

/** The type that a request's body is of, for the API reference. */
export const streamMediaType = ({ kind, type }: StreamKind): string =>
  kind === "form" ? "multipart/form-data" : (type ?? "application/octet-stream");

/** What a form adds to its file: fields, and the headers of its parts. */
const formOverhead = maxFieldBytes + 64 * 1024;

/** Makes `request.body` for a route whose body is read as it comes. */
export function streamReader(
  route: Route,
  { kind, maxBytes, type: taken }: StreamKind,
  validators: Validators,
): (request: FastifyRequest) => UploadForm<unknown> | BodyBytes {
  const schema = route.options.body ?? {};
  const { file: _file, ...properties } = (schema as TObject).properties ?? {};
  const required = ((schema as TObject).required ?? []).filter((name) => name !== "file");
  const check = validators({ type: "object", properties, required }, "body");
  return ({ raw, headers }) => {
    const type = headers["content-type"] ?? "";
    const told = headers["content-length"];
    const length = told === undefined ? undefined : Number(told);
    if (headers["content-encoding"] !== undefined) throw encodedBody();
    if ((length ?? 0) > maxBytes + (kind === "form" ? formOverhead : 0)) throw bodyTooLarge();
    if (taken && type.split(";")[0]?.trim().toLowerCase() !== taken) {
      throw wrongMediaType(taken);
    }
    if (kind === "bytes") return { type, length, bytes: capped(raw, maxBytes) };
    if (!/^multipart\/form-data *(;|$)/i.test(type)) {
      throw wrongMediaType("multipart/form-data");
    }
    return {
      length,
      receive: (take) => receiveForm({ raw, type, maxBytes, properties, check }, take),
    };
  };
}

async function* capped(raw: IncomingMessage, maxBytes: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of raw) {
    size += chunk.length;
    if (size > maxBytes) throw bodyTooLarge();
    yield chunk;
  }
}

/**
 * A server within the server, whose routes get their bodies unread.
 *
 * @param allowSlowBody is called with each request: it may take longer to come in than others.
 */
export function registerStreams(
  app: FastifyInstance,
  allowSlowBody: (request: IncomingMessage) => void,
  register: (app: FastifyInstance) => void,
): void {
  app.register((streams, _options, done) => {
    streams.removeAllContentTypeParsers();
    streams.addContentTypeParser("*", ({ raw }, _payload, parsed) => {
      allowSlowBody(raw);
      parsed(null);
    });
    streams.addHook("onSend", (request, reply, _payload, next) => {
      if (!isRead(request.raw)) reply.header("connection", "close");
      next();
    });
    register(streams);
    done();
  });
}

const isRead = ({ complete, headers }: IncomingMessage): boolean =>
  complete ||
  ((headers["content-length"] ?? "0") === "0" && headers["transfer-encoding"] === undefined);
