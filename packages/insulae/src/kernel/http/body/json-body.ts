/**
 * Parses JSON strictly. Beyond `JSON.parse`, it refuses keys that reach for prototypes, duplicate
 * keys (two readers may pick different ones), deep nesting, characters that PostgreSQL can't store,
 * and numbers that JavaScript would change.
 *
 * One pass over the text measures the depth, checks numbers and counts structural colons, skipping
 * strings with `indexOf`. One pass over the parsed value counts its keys. Each member has one
 * colon, so fewer keys than colons means a duplicate key, without a set of names.
 *
 * The cost of a value, here and in later checks, depends on its number of parts rather than its
 * bytes, so the first pass bounds that too.
 */
import { isUtf8 } from "node:buffer";
import type { FastifyInstance } from "fastify";
import { asError, defineError, type FieldError } from "../../lib/errors.ts";
import { bodyTooLarge, encodedBody, malformedJson } from "../../lib/http-errors.ts";
import { shareOf } from "../../lib/worker-share.ts";
import { endOfNumber, isExact, pointerTo } from "../../validation/json-numbers.ts";
import { createBodyReader } from "./body-bytes.ts";

/** Bytes of incomplete bodies; at most a quarter of them per tenant or client. */
const maxUnderWay = 128 * 1024 * 1024;
const maxDepth = 32;
/** Commas, colons and opening brackets together. */
const maxParts = 50_000;
/** Errors beyond this offset have no pointer: finding it takes reading everything before. */
const maxPointed = 65_536;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const zero = 0x30;
const nine = 0x39;

export const inexactNumber = defineError(
  "inexact_number",
  400,
  "A number is too large or has too many digits to be stored exactly. Send it as a string.",
);

const errorsAt = (text: string, position: number, root: string): readonly FieldError[] =>
  position > maxPointed
    ? []
    : [
        {
          pointer: `${root}${pointerTo(text, position)}`,
          message: "would be changed: numbers are kept as IEEE 754 doubles (RFC 8259, section 6)",
        },
      ];

/** Accepts JSON only; removes Fastify's own parsers. */
export function acceptOnlyJson(app: FastifyInstance, workers: number): void {
  app.removeAllContentTypeParsers();
  // One payer's share holds at least the largest body that the configuration allows.
  const underWay = Math.max(shareOf(maxUnderWay, workers), 4 * (app.initialConfig.bodyLimit ?? 0));
  const read = createBodyReader({ process: underWay, payer: underWay / 4 });
  app.addContentTypeParser("application/json", (request, stream, done) => {
    if (request.headers["content-encoding"] !== undefined) {
      done(encodedBody());
      return;
    }
    read(request, stream, (failed, bytes) => {
      if (!bytes) {
        done(failed);
        return;
      }
      let body: unknown;
      try {
        body = parseJsonBody(bytes);
      } catch (error) {
        done(asError(error));
        return;
      }
      done(null, body);
    });
  });
}

/**
 * Parses a body; an empty one is `undefined`.
 *
 * @param root its pointer in errors
 * @throws malformedJson, inexactNumber, bodyTooLarge
 */
export function parseJsonBody(bytes: Buffer, root = "/body"): unknown {
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw malformedJson({ detail: "The body is not UTF-8." });
  const text = bytes.toString();
  const { colons, changed } = scan(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The message quotes the text, so it isn't sent to the client.
    throw malformedJson({ cause });
  }
  if (changed !== undefined) throw inexactNumber({ errors: errorsAt(text, changed, root) });
  // Only an escape can produce characters that the text itself can't contain.
  const keys = countKeys(value, text.includes("\\u"));
  if (keys !== colons) throw malformedJson({ detail: "A key occurs twice in one object." });
  return value;
}

const tooManyParts = `The body can have at most ${maxParts} commas, colons and opening brackets. Split it.`;

interface Scan {
  readonly colons: number;
  /** The offset of a number that JavaScript would change. */
  readonly changed: number | undefined;
}

function scan(text: string): Scan {
  let colons = 0;
  let depth = 0;
  let parts = 0;
  let changed: number | undefined;
  const countPart = () => {
    if (++parts > maxParts) throw bodyTooLarge({ detail: tooManyParts });
  };
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= zero && code <= nine) {
      const end = endOfNumber(text, i);
      if (changed === undefined && !isExact(text, i, end)) changed = i;
      i = end - 1;
      continue;
    }
    switch (code) {
      case quote:
        i = endOfString(text, i);
        break;
      case colon:
        colons++;
        countPart();
        break;
      case comma:
        countPart();
        break;
      case 0x7b: // {
      case 0x5b: // [
        countPart();
        if (++depth > maxDepth) {
          throw malformedJson({ detail: `The body is nested more than ${maxDepth} levels deep.` });
        }
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
    }
  }
  return { colons, changed };
}

function endOfString(text: string, start: number): number {
  for (let end = start; ; ) {
    end = text.indexOf('"', end + 1);
    if (end === -1) throw malformedJson();
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes++;
    if (escapes % 2 === 0) return end;
  }
}

function countKeys(value: unknown, escaped: boolean): number {
  if (typeof value === "string") {
    if (escaped) checkText(value);
    return 0;
  }
  if (typeof value !== "object" || value === null) return 0;
  let keys = 0;
  if (Array.isArray(value)) {
    for (const item of value) keys += countKeys(item, escaped);
    return keys;
  }
  // Everything that `JSON.parse` creates is an own property.
  for (const key in value) {
    const member: unknown = Reflect.get(value, key);
    if (key === "__proto__" || (key === "constructor" && isObjectWithPrototype(member))) {
      throw malformedJson({ detail: "A key is not allowed." });
    }
    if (escaped) checkText(key);
    keys += 1 + countKeys(member, escaped);
  }
  return keys;
}

function isObjectWithPrototype(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}

function checkText(text: string): void {
  if (text.includes("\0") || !text.isWellFormed()) {
    throw malformedJson({ detail: "The body contains a character that cannot be stored." });
  }
}
