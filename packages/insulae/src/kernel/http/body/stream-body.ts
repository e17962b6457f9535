/**
 * Bodies that a handler reads as a stream, never whole in memory: a form with one file, or plain
 * bytes. A route declares one in place of a JSON schema and gets the reader in `body`:
 *
 *   body: uploadForm(Fields, { maxBytes })    ({ body }) => body.receive((file) => …)
 *   body: bytesBody({ maxBytes })             ({ body }) => … body.bytes
 *
 * Nothing is read before the request is authorised. A response sent before the end of the body
 * closes the connection, because the rest is not wanted.
 */
import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Static, type TObject, type TProperties, Type } from "typebox";
import type { Route } from "../../feature/feature.ts";
import { bodyTooLarge, encodedBody, wrongMediaType } from "../../lib/http-errors.ts";
import type { Validators } from "../../validation/validation.ts";
import { maxFieldBytes, receiveForm, type UploadedFile } from "./multipart.ts";

/** The body schema's keyword for how to read it and its maximum of bytes. */
const keyword = "x-stream";

interface StreamKind {
  readonly kind: "form" | "bytes";
  readonly maxBytes: number;
  /** The only accepted type; absent: any. */
  readonly type?: string;
}

export interface UploadForm<Fields> {
  /** The declared length of the whole form in bytes; the file is shorter. */
  readonly length: number | undefined;
  /**
   * Reads the form. The fields are validated before `take` gets the file. `take` must read all of
   * it, or throw; it is called once, and its result is returned once the whole form proved
   * well-formed.
   *
   * @throws malformedForm, validationFailed, bodyTooLarge, or what `take` throws
   */
  receive<T>(take: (file: UploadedFile<Fields>) => Promise<T>): Promise<T>;
}

export interface BodyBytes {
  /** As declared by the client; may be empty. */
  readonly type: string;
  /** The declared length in bytes. */
  readonly length: number | undefined;
  /** @throws bodyTooLarge during reading, when there are too many */
  readonly bytes: AsyncIterable<Buffer>;
}

/** A form with the fields and then a `file`. @param maxBytes of the file */
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

/** A body of bytes, of any type or of the one given. */
export const bytesBody = (options: { readonly maxBytes: number; readonly type?: string }) =>
  Type.Unsafe<BodyBytes>({
    type: "string",
    contentMediaType: options.type ?? "application/octet-stream",
    [keyword]: { kind: "bytes", ...options } satisfies StreamKind,
  });

/** How a route's body is read; undefined for JSON. */
export function streamKindOf(route: Pick<Route, "options">): StreamKind | undefined {
  const found: unknown = route.options.body && Reflect.get(route.options.body, keyword);
  return found as StreamKind | undefined; // only this module sets the keyword
}

/** The media type, for the API reference. */
export const streamMediaType = ({ kind, type }: StreamKind): string =>
  kind === "form" ? "multipart/form-data" : (type ?? "application/octet-stream");

/** Bytes of a form besides its file: fields and part headers. */
const formOverhead = maxFieldBytes + 64 * 1024;

/** Makes `request.body` for a route with a stream body. */
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
 * Registers a Fastify scope whose routes get their bodies unread.
 *
 * @param allowSlowBody called with each request, which may take longer to arrive than others
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
