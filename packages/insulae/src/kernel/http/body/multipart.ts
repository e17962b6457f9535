/**
 * `multipart/form-data` (RFC 7578) with one file, parsed as it arrives: the fields first, then a
 * part `file` and nothing after it, so that all metadata is known before the file's first byte.
 * Busboy parses; this decides what is accepted, and ends the reading of the file when anything goes
 * wrong (a truncated or malformed form, a client that disconnects).
 */
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { Busboy, type BusboyInstance, type Dicer } from "@fastify/busboy";
import type { TProperties } from "typebox";
import { AppError, asError, defineError } from "../../lib/errors.ts";
import { bodyTooLarge, malformedJson } from "../../lib/http-errors.ts";
import type { Validator } from "../../validation/validation.ts";
import { parseJsonBody } from "./json-body.ts";

export const malformedForm = defineError(
  "malformed_form",
  400,
  "The body is not a valid form. Send the fields first, then one part named file.",
);

export interface UploadedFile<Fields> {
  readonly fields: Fields;
  /** The last segment of the path that the client sent. */
  readonly name: string | undefined;
  /** The part's `content-type`, with parameters. */
  readonly type: string;
  readonly bytes: AsyncIterable<Buffer>;
  /** Aborts when the rest will not arrive: the form was truncated or malformed. */
  readonly signal: AbortSignal;
}

/** Bytes of all fields together: the largest metadata, with some room. */
export const maxFieldBytes = 256 * 1024;

export interface FormOptions {
  readonly raw: IncomingMessage;
  /** The request's `content-type`, with the boundary. */
  readonly type: string;
  /** The file's maximum. */
  readonly maxBytes: number;
  /** The fields' schemas; non-string values are converted accordingly. */
  readonly properties: TProperties;
  /** Validates all fields together. */
  readonly check: Validator;
}

/** See `UploadForm`. */
export function receiveForm<Fields, T>(
  options: FormOptions,
  take: (file: UploadedFile<Fields>) => Promise<T>,
): Promise<T> {
  const { raw, maxBytes } = options;
  return new Promise<T>((resolve, reject) => {
    const form = parserOf(options);
    const fields: [string, string][] = [];
    let file: Readable | undefined;
    let taken: Promise<T> | undefined;
    let fieldBytes = 0;
    let failed = false;
    const broken = new AbortController();

    const fail = (error: Error): void => {
      if (failed) return;
      failed = true;
      broken.abort(error);
      raw.unpipe(form);
      file?.destroy(error);
      // The reader of the file cleans up first.
      const over = () => reject(error);
      if (taken) taken.then(over, over);
      else over();
    };
    const refuse = (detail: string) => fail(malformedForm({ detail }));

    form.on("field", (name, value, _nameCut, cut) => {
      fieldBytes += Buffer.byteLength(value);
      if (file) refuse("The file must be the last part.");
      else if (!name) refuse("A field has no name.");
      else if (cut || fieldBytes > maxFieldBytes) {
        refuse(`The fields can take at most ${maxFieldBytes} bytes together.`);
      } else fields.push([name, value]);
    });
    const typeOfPart = typesOfParts(form);
    form.on("file", (name, bytes, filename) => {
      bytes.on("error", () => {}); // a reader, if there is one, gets the error too
      if (failed || file || name !== "file") {
        bytes.resume();
        refuse(file ? "Send one file only." : "The file's part must have the name file.");
        return;
      }
      file = bytes;
      bytes.on("limit", () =>
        fail(bodyTooLarge({ detail: `The file can have at most ${maxBytes} bytes.` })),
      );
      try {
        const checked = checkedFields(fields, options) as Fields; // `check` ensures it
        taken = take({
          fields: checked,
          name: filename ? unescaped(filename) : undefined,
          type: typeOfPart(),
          bytes,
          signal: broken.signal,
        });
      } catch (error) {
        fail(asError(error));
        return;
      }
      taken.catch((error: unknown) => fail(asError(error)));
    });
    for (const event of ["partsLimit", "fieldsLimit", "filesLimit"] as const) {
      form.on(event, () => refuse("The form has too many parts."));
    }
    form.on("error", (cause) => fail(malformedForm({ cause })));
    form.on("finish", () => {
      if (failed) return;
      if (taken) taken.then(resolve, () => {});
      else refuse("The form has no file.");
    });
    raw.once("error", fail);
    raw.once("close", () => {
      if (!raw.complete) fail(raw.errored ?? new Error("the client closed the connection"));
    });
    raw.pipe(form);
  });
}

function parserOf({ type, maxBytes }: FormOptions): BusboyInstance {
  try {
    return new Busboy({
      headers: { "content-type": type },
      limits: {
        fields: 20,
        fieldSize: maxFieldBytes,
        files: 1,
        // A file of exactly the maximum size is allowed.
        fileSize: maxBytes,
        parts: 21,
        headerPairs: 20,
      },
      isPartAFile: (name, _type, filename) => name === "file" || filename !== undefined,
    });
  } catch (cause) {
    throw malformedForm({ cause });
  }
}

/** Returns the raw type of the current part: Busboy discards its parameters. */
function typesOfParts(form: BusboyInstance): () => string {
  let type = "";
  // Not in its typings: the part parser, which emits headers before Busboy reads them.
  const { parser } = Reflect.get(form, "_parser") as { readonly parser: Dicer };
  parser.prependListener("part", (part: Dicer.PartStream) => {
    part.on("header", (header) => {
      const { "content-type": types } = header as Readonly<Record<string, string[] | undefined>>;
      type = types?.[0] ?? "text/plain"; // RFC 7578, section 4.4
    });
  });
  return () => type;
}

/**
 * Undoes what browsers escape in file names, nothing else (WHATWG HTML, multipart/form-data
 * encoding algorithm).
 */
const unescaped = (name: string): string => name.replaceAll(/%(?:22|0A|0D)/gi, decodeURIComponent);

function checkedFields(entries: [string, string][], { properties, check }: FormOptions): unknown {
  const fields = Object.fromEntries(
    entries.map(([name, text]) => [
      name,
      Object.hasOwn(properties, name) ? valueFrom(properties[name], text, `/body/${name}`) : text,
    ]),
  );
  if (Object.keys(fields).length < entries.length) {
    throw malformedForm({ detail: "A field was sent twice." });
  }
  check(fields);
  return fields;
}

/** The text converted to its schema's type; unchanged if it does not fit. */
function valueFrom(schema: object | undefined, text: string, pointer: string): unknown {
  const type: unknown = schema && Reflect.get(schema, "type");
  if (type === "integer") return /^\d{1,15}$/.test(text) ? Number(text) : text;
  return type === "object" ? jsonOf(text, pointer) : text;
}

/** @throws malformedJson with the field's pointer; inexactNumber */
function jsonOf(text: string, pointer: string): unknown {
  try {
    return parseJsonBody(Buffer.from(text), pointer);
  } catch (cause) {
    if (!(cause instanceof AppError) || cause.code !== malformedJson.code) throw cause;
    throw malformedJson({
      cause,
      ...(cause.detail !== undefined && { detail: cause.detail }),
      errors: [{ pointer, message: "is not valid JSON" }],
    });
  }
}
