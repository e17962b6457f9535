/**
 * Errors that a client is meant to see. Each is defined once, by the feature that throws it, and
 * rendered in one place (`http/reply/problem.ts`) as RFC 9457 problem+json.
 */
import { refuse } from "./declaration-error.ts";

export class AppError extends Error {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  /** Which fields are wrong and why, with JSON pointers into the request. */
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(definition: ErrorDefinition, detail?: ErrorDetail) {
    super(detail?.detail ?? definition.title, { cause: detail?.cause });
    this.name = "AppError";
    this.code = definition.code;
    this.status = definition.status;
    this.title = definition.title;
    this.detail = detail?.detail;
    this.errors = detail?.errors;
    this.headers = detail?.headers ?? {};
    this.members = detail?.members ?? {};
  }
}

export interface FieldError {
  /** Where: `/body/email`, `/query/limit`. */
  readonly pointer: string;
  readonly message: string;
}

export interface ErrorDefinition {
  readonly code: string;
  readonly status: number;
  readonly title: string;
}

export interface ErrorDetail {
  /** A sentence for the client; never a value out of the database. */
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  /** What a client needs to go on (RFC 9457, section 3.2), beside the members that every problem has. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const statement = Symbol("the statement that PostgreSQL refused");

/** Notes which statement an error is about: its text, never its values. */
export function noteStatement(error: Error, text: string): void {
  Object.assign(error, { [statement]: text });
}

/** The text of the statement that an error is about, as far as a log has room for it. */
export const statementOf = (error: Error): string | undefined =>
  (error as { readonly [statement]?: string })[statement]?.slice(0, maxStatement); // set above

const maxStatement = 4_000;

/** Makes an error of the definition; throw what it returns. */
export type ErrorFactory = ErrorDefinition & ((detail?: ErrorDetail) => AppError);

/**
 * Defines an error that clients may see.
 *
 * @param code lower case with underscores, unlike any other error's: it is what clients look at.
 * @param status from 400 to 599
 * @throws DeclarationError if one of them is not well formed
 * @example
 * const contactNotFound = defineError("contact_not_found", 404, "There is no such contact");
 * throw contactNotFound();
 */
export function defineError(code: string, status: number, title: string): ErrorFactory {
  const problems = [
    ...(/^[a-z][a-z0-9_]*$/.test(code) ? [] : ['use a code like "note_not_found"']),
    ...(Number.isInteger(status) && status >= 400 && status <= 599
      ? []
      : [`use a status from 400 to 599, not ${status}`]),
    ...(typeof title === "string" && title.trim() ? [] : ["give a title that says what is wrong"]),
  ];
  refuse(problems.map((problem) => `error ${JSON.stringify(code)}: ${problem}`));
  const definition: ErrorDefinition = { code, status, title };
  return Object.assign((detail?: ErrorDetail) => new AppError(definition, detail), definition);
}

/** What was thrown, as an error: Fastify takes nothing else for one. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/**
 * For what a query may not have found.
 *
 * @example
 * findContact.json(db, { id }).then(orThrow(contactNotFound))
 */
export const orThrow =
  (error: ErrorFactory) =>
  <T>(found: T | undefined): T => {
    if (found === undefined) throw error();
    return found;
  };
