/**
 * `application/x-www-form-urlencoded` bodies, which HTML forms and OAuth 2 clients send, for the
 * routes that accept them besides JSON. A form becomes an object of strings and goes through the
 * route's schema. All other routes answer 415.
 *
 *     body: Type.Object({ username: …, password: … }, alsoAsForm)
 *     body: Type.Object({ refresh_token: … }, mayBeAbsent)
 */
import { isUtf8 } from "node:buffer";
import type { FastifyInstance } from "fastify";
import type { Route } from "../../feature/feature.ts";
import { asError, defineError } from "../../lib/errors.ts";
import { encodedBody, wrongMediaType } from "../../lib/http-errors.ts";

export const malformedFields = defineError(
  "malformed_fields",
  400,
  "The body is not a valid form. Send each field once, in UTF-8.",
);

/** Option of a body's schema: accept the body as a form too. */
export const alsoAsForm = { "x-form": true } as const;
/** Option of a body's schema: the body may be absent. */
export const mayBeAbsent = { "x-may-be-absent": true } as const;

export const formMediaType = "application/x-www-form-urlencoded";

const says = (body: object | undefined, option: object): boolean =>
  body !== undefined && Object.keys(option).every((keyword) => Reflect.get(body, keyword) === true);

export const takesForm = (body: object | undefined): boolean => says(body, alsoAsForm);
export const isBodyOptional = (body: object | undefined): boolean => says(body, mayBeAbsent);

declare module "fastify" {
  interface FastifyContextConfig {
    takesForm?: boolean;
  }
}

/** Ample for a log-in. */
const maxBytes = 16 * 1024;
const maxFields = 50;

/** Accepts forms at the routes whose body schema says so. */
export function acceptForms(app: FastifyInstance): void {
  app.addContentTypeParser<Buffer>(
    formMediaType,
    { parseAs: "buffer", bodyLimit: maxBytes },
    ({ headers, routeOptions }, body, done) => {
      try {
        if (!routeOptions.config.takesForm) throw wrongMediaType("application/json");
        if (headers["content-encoding"] !== undefined) throw encodedBody();
        done(null, parseForm(body));
      } catch (error) {
        done(asError(error));
      }
    },
  );
}

export const formConfigOf = ({ options }: Route) => ({ takesForm: takesForm(options.body) });

/** @throws malformedFields */
export function parseForm(bytes: Buffer): Readonly<Record<string, string>> {
  if (!isUtf8(bytes)) throw malformedFields({ detail: "The form is not UTF-8." });
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(bytes.toString())) {
    if (fields.has(name)) throw malformedFields({ detail: "A field was sent twice." });
    if (fields.size === maxFields)
      throw malformedFields({ detail: "The form has too many fields." });
    // U+FFFD replaces percent-encoded bytes that are not UTF-8.
    if (/[\0\uFFFD]/.test(name + value)) {
      throw malformedFields({ detail: "The form contains a character that cannot be stored." });
    }
    fields.set(name, value);
  }
  return Object.fromEntries(fields);
}
