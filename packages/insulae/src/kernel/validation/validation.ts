/**
 * Validates the parts of a request. A validator stops at the first error, which bounds its work.
 * Only for small values a second one runs that finds all errors. Validators are compiled on first
 * use: compiling those of all routes would delay the start.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import type { DataValidationCxt } from "ajv/dist/types/index.js";
import type { FieldError } from "../lib/errors.ts";
import { validationFailed } from "../lib/http-errors.ts";
import { beginning } from "../lib/text.ts";
import { formatChecks, stringFormats } from "./formats.ts";
import { closedSchema, type JsonSchema, lowerCase, type RequestPart } from "./schemas.ts";

/** Fills in defaults, and converts text in parts that are text. @throws validationFailed */
export type Validator = (value: unknown) => void;

/**
 * Creates a validator. Routes do this at boot; it costs nothing until it is used.
 *
 * @param name the name of the value in errors; default: the part's
 */
export type Validators = (schema: object, part: RequestPart, name?: string) => Validator;

const maxErrors = 20;
/** The maximum size, in characters and members, of a value of which all errors are reported. */
const smallValue = 10_000;

export function createValidators(): Validators {
  const compiler = (part: RequestPart, allErrors: boolean): (() => Ajv) => {
    let ajv: Ajv | undefined;
    return () => {
      if (ajv) return ajv;
      ajv = new Ajv({
        allErrors,
        // `?tag=a` becomes a list of one. JSON has types, so nothing is converted.
        coerceTypes: part === "body" ? false : "array",
        useDefaults: true,
        removeAdditional: false,
        strict: false,
        validateSchema: false,
        unicodeRegExp: true,
        formats: { ...formatChecks },
        // Include the invalid value in errors: some messages quote it.
        verbose: true,
      });
      ajv.addKeyword({
        keyword: lowerCase,
        type: "string",
        schema: false,
        modifying: true,
        errors: false,
        validate: (text: string, at?: DataValidationCxt) => {
          if (at) at.parentData[at.parentDataProperty] = text.toLowerCase();
          return true;
        },
      });
      return ajv;
    };
  };
  const compilers = {
    params: { first: compiler("params", false), all: compiler("params", true) },
    query: { first: compiler("query", false), all: compiler("query", true) },
    body: { first: compiler("body", false), all: compiler("body", true) },
  };

  return (schema, part, name = part) => {
    let first: ValidateFunction | undefined;
    let all: ValidateFunction | undefined;
    const numbers = part === "body" ? [] : numberPatterns(schema);
    return (value) => {
      const wrong = numbers.flatMap((one) => one(value) ?? []);
      if (wrong.length > 0) {
        throw validationFailed({
          errors: wrong.map(({ field, message }) => ({ pointer: `/${name}/${field}`, message })),
        });
      }
      first ??= compilers[part].first().compile(closedSchema(schema, part));
      if (first(value)) return;
      let errors = first.errors ?? [];
      if (sizeOf(value, smallValue) < smallValue) {
        all ??= compilers[part].all().compile(closedSchema(schema, part));
        all(value);
        errors = all.errors ?? errors;
      }
      throw validationFailed({ errors: fieldErrors(errors, `/${name}`) });
    };
  };
}

/**
 * Decimal notation only: Ajv accepts whatever JavaScript's `Number` does, such as `0x10`, `1e2` and
 * ` 1`.
 */
const numberTexts: Readonly<Record<string, RegExp>> = {
  integer: /^-?\d+$/,
  number: /^-?\d+(\.\d+)?$/,
};

type FindWrongNumber = (
  value: unknown,
) => { readonly field: string; readonly message: string } | undefined;

/** For each numeric field, a check for text that is not a number in this notation. */
function numberPatterns(schema: object): FindWrongNumber[] {
  const { properties = {} } = schema as JsonSchema; // a schema is an object of keywords
  return Object.entries(properties as JsonSchema).flatMap(([field, inner]) => {
    const { type, items } = inner as JsonSchema;
    const wanted = type === "array" ? Object(items).type : type;
    const pattern = numberTexts[wanted];
    if (!pattern) return [];
    const isWrong = (text: unknown) => typeof text === "string" && !pattern.test(text);
    return (value) =>
      [Object(value)[field]].flat().some(isWrong)
        ? { field, message: `must be ${wanted}` }
        : undefined;
  });
}

/** @param root the JSON pointer to the validated value */
export function fieldErrors(errors: readonly ErrorObject[], root: string): FieldError[] {
  return errors.slice(0, maxErrors).map((error) => ({
    pointer: `${root}${error.instancePath}${missing(error)}`,
    message: message(error),
  }));
}

/** Reports a missing or unknown property at its own place, not at its parent's. */
function missing(error: ErrorObject): string {
  const name =
    error.keyword === "required"
      ? error.params.missingProperty
      : error.keyword === "additionalProperties"
        ? error.params.additionalProperty
        : undefined;
  if (typeof name !== "string") return "";
  // RFC 6901. A name comes from the request, so its length is bounded.
  return `/${beginning(name, 100).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function message(error: ErrorObject): string {
  if (error.keyword === "required") return "is required";
  if (error.keyword === "additionalProperties") return "is not known";
  if (error.keyword === "enum") return `must be one of ${list(error.params.allowedValues)}`;
  if (error.keyword === "const") return `must be ${JSON.stringify(error.params.allowedValue)}`;
  if (error.keyword === "format") {
    const format = stringFormats[String(error.params.format)];
    if (format) {
      return typeof format.message === "string"
        ? format.message
        : format.message(String(error.data));
    }
  }
  return error.message ?? "is not valid";
}

function list(values: unknown): string {
  return Array.isArray(values)
    ? values.map((value) => JSON.stringify(value)).join(", ")
    : "those known";
}

/** Counts the characters and members of a value, up to `limit`. */
function sizeOf(value: unknown, limit: number): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  let size = 1;
  for (const [key, member] of Object.entries(value)) {
    size += key.length + sizeOf(member, limit - size);
    if (size >= limit) break;
  }
  return size;
}
