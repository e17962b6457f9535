/**
 * Validates the parts of a request. A validator stops at the first thing that is wrong, which bounds
 * its work whatever is sent; only for a small value is a second one run, that finds all that is
 * wrong. Validators are compiled when they are first needed: compiling those of all routes is what
 * a start would otherwise wait for.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import type { DataValidationCxt } from "ajv/dist/types/index.js";
import type { FieldError } from "../lib/errors.ts";
import { validationFailed } from "../lib/http-errors.ts";
import { beginning } from "../lib/text.ts";
import { formatChecks, stringFormats } from "./formats.ts";
import { closedSchema, type JsonSchema, lowerCase, type RequestPart } from "./schemas.ts";

/** Fills in defaults, converts text where the part is text. @throws validationFailed */
export type Validator = (value: unknown) => void;

/**
 * Makes a validator; each route makes its own at boot, which costs nothing until it is used.
 *
 * @param name of what is validated, in the errors; default the part's.
 */
export type Validators = (schema: object, part: RequestPart, name?: string) => Validator;

const maxErrors = 20;
/** Texts and members that a value may have for all its errors to be looked for. */
const smallValue = 10_000;

export function createValidators(): Validators {
  const compiler = (part: RequestPart, allErrors: boolean): (() => Ajv) => {
    let ajv: Ajv | undefined;
    return () => {
      if (ajv) return ajv;
      ajv = new Ajv({
        allErrors,
        // `?tag=a` is a list of one; JSON has types, and nothing is converted there.
        coerceTypes: part === "body" ? false : "array",
        useDefaults: true,
        removeAdditional: false,
        strict: false,
        validateSchema: false,
        unicodeRegExp: true,
        formats: { ...formatChecks },
        // Errors have the text that is wrong: some messages say what of it.
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

/** Decimal notation alone: Ajv takes whatever JavaScript's `Number` does, such as `0x10`, `1e2` and ` 1`. */
const numberTexts: Readonly<Record<string, RegExp>> = {
  integer: /^-?\d+$/,
  number: /^-?\d+(\.\d+)?$/,
};

type FindWrongNumber = (
  value: unknown,
) => { readonly field: string; readonly message: string } | undefined;

/** What finds a text that stands for a number and isn't written as one, for each field that is a number. */
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

/** @param root the pointer to what was validated. */
export function fieldErrors(errors: readonly ErrorObject[], root: string): FieldError[] {
  return errors.slice(0, maxErrors).map((error) => ({
    pointer: `${root}${error.instancePath}${missing(error)}`,
    message: message(error),
  }));
}

/** A missing or unknown member is reported at its own place, not at its parent's. */
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

/** How many characters and members a value has, counted no further than `limit`. */
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
