/**
 * Outside production, validates the text of each JSON response against its route's schema before it
 * is sent, whether a serialiser or PostgreSQL wrote it. The schema is closed for this, so that a
 * superfluous column fails in development instead of reaching a client.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import type { AppError } from "../../lib/errors.ts";
import { internalError } from "../../lib/http-errors.ts";
import { formatChecks } from "../../validation/formats.ts";
import { closedAnswer } from "../../validation/schemas.ts";
import { fieldErrors } from "../../validation/validation.ts";

/**
 * Validates the JSON text of a response. @throws internalError that says what is wrong and where
 */
export type CheckJson = (status: number, text: string) => void;

/**
 * Creates the validator of a route's responses.
 *
 * @param responses the schemas by status; null for a response without body
 * @param route names the route in errors: `GET /api/v1/contacts`
 */
export type AnswerChecks = (
  responses: ReadonlyMap<number, object | null>,
  route: string,
) => CheckJson;

export function createAnswerChecks(): AnswerChecks {
  const ajv = new Ajv({
    strict: false,
    validateSchema: false,
    unicodeRegExp: true,
    // Include the values in errors: a number instead of a string shows where it comes from.
    verbose: true,
    formats: { ...formatChecks, "date-time": isOneSpelling },
  });

  return (responses, route) => {
    const validators = new Map<number, ValidateFunction>();
    const validatorOf = (status: number): ValidateFunction => {
      const known = validators.get(status);
      if (known) return known;
      const schema = responses.get(status);
      if (!schema)
        throw answerMismatch(`${route} answered ${status}, a status that it does not declare`);
      const made = ajv.compile(closedAnswer(schema));
      validators.set(status, made);
      return made;
    };
    return (status, text) => {
      const validate = validatorOf(status);
      if (!validate(parsed(text, route, status))) {
        throw answerMismatch(`${route} answered ${status} with ${faults(validate.errors ?? [])}`);
      }
    };
  };
}

/** Responses use one format for times (times.ts); requests may use any of RFC 3339. */
const isOneSpelling = (text: string): boolean =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(text);

/** A 500 whose detail is meant for the developer. */
export const answerMismatch = (detail: string): AppError => internalError({ detail });

function parsed(text: string, route: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw answerMismatch(`${route} answered ${status} with text that is not JSON`);
  }
}

/** `/items/0/id: must be string`. A union reports an error per member, so only a few are listed. */
const faults = (errors: readonly ErrorObject[]): string => {
  const few = errors.slice(0, 3);
  const found = fieldErrors(few, "").map(
    ({ pointer, message }) => `${pointer || "the answer"}: ${message}`,
  );
  return [...found, ...(few.some(isNumberForText) ? [numberForText] : [])].join("; ");
};

/** In a `Json`, where no serialiser converts numbers to strings. */
const isNumberForText = ({ keyword, params, data }: ErrorObject): boolean =>
  keyword === "type" && params.type === "string" && typeof data === "number";

const numberForText =
  "PostgreSQL writes bigint and numeric as JSON numbers: select them as text (sql<string>`total::text`)";
