/**
 * Outside of production, each JSON answer is checked against its route's response schema before it is
 * sent: the very text, whether a serialiser or PostgreSQL wrote it. The schema is closed for this, so
 * that a column too many in a query fails in development instead of reaching a client. Production does
 * none of this.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import type { AppError } from "../../lib/errors.ts";
import { internalError } from "../../lib/http-errors.ts";
import { formatChecks } from "../../validation/formats.ts";
import { closedAnswer } from "../../validation/schemas.ts";
import { fieldErrors } from "../../validation/validation.ts";

/** Checks the JSON text of an answer. @throws internalError that says what is wrong, and where. */
export type CheckJson = (status: number, text: string) => void;

/**
 * Makes the check of a route's answers.
 *
 * @param responses the schemas by status; null where the answer has no body.
 * @param route names the route in errors: `GET /api/v1/contacts`.
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
    // Errors have what is wrong: a number in the place of a text says where it comes from.
    verbose: true,
    formats: { ...formatChecks, "date-time": isOneSpelling },
  });

  return (responses, route) => {
    const validators = new Map<number, ValidateFunction>();
    const validatorOf = (status: number): ValidateFunction => {
      const known = validators.get(status);
      if (known) return known;
      const schema = responses.get(status);
      if (!schema) throw answerMismatch(`${route} answered ${status}, which it does not declare`);
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

/** Answers spell times in one way (times.ts); requests may in any that RFC 3339 has. */
const isOneSpelling = (text: string): boolean =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(text);

/** A 500 whose detail is for the developer: answers are only checked outside of production. */
export const answerMismatch = (detail: string): AppError => internalError({ detail });

function parsed(text: string, route: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw answerMismatch(`${route} answered ${status} with text that is not JSON`);
  }
}

/** `/items/0/id: must be string`. A union has an error for each of its parts: a few will do. */
const faults = (errors: readonly ErrorObject[]): string => {
  const few = errors.slice(0, 3);
  const found = fieldErrors(few, "").map(
    ({ pointer, message }) => `${pointer || "the answer"}: ${message}`,
  );
  return [...found, ...(few.some(isNumberForText) ? [numberForText] : [])].join("; ");
};

/** As a `Json` has it: the serialiser would have made text of it. */
const isNumberForText = ({ keyword, params, data }: ErrorObject): boolean =>
  keyword === "type" && params.type === "string" && typeof data === "number";

const numberForText =
  "a bigint or numeric is a number in PostgreSQL's JSON: select it as text (sql<string>`total::text`)";
