/**
 * Every error is sent as `application/problem+json` (RFC 9457): `type`, `title`, `status`, `code`,
 * `request_id`, and optionally `detail` and `errors`. An error that is not an `AppError` reveals
 * nothing to the client and goes to the log in full.
 */
import { applicationFrame, type CallSite } from "../../lib/call-site.ts";
import { AppError, type ErrorFactory, type FieldError, statementOf } from "../../lib/errors.ts";
import {
  badRequest,
  bodyTooLarge,
  headersTooLarge,
  internalError,
  methodNotAllowed,
  notFound,
  requestTimeout,
  uriTooLong,
  wrongMediaType,
} from "../../lib/http-errors.ts";
import { redactText } from "../../telemetry/redact.ts";
import { type ConstraintErrors, databaseError, databaseErrorFields } from "./database-errors.ts";

export const problemType = "application/problem+json; charset=utf-8";

export interface Problem {
  /** `urn:insulae:problem:<code>`: stable, and not an address. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly code: string;
  readonly request_id: string;
  readonly errors?: readonly FieldError[];
}

/** What failed and where: for the log, and in development for the response. */
export interface ErrorContext {
  /** `GET /api/v1/notes/:id` */
  readonly route: string;
  readonly message: string;
  readonly sqlstate?: string | undefined;
  /** The SQL text, without values. */
  readonly statement?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly constraint?: string | undefined;
  readonly hint?: string | undefined;
  /** `src/notes/notes.queries.ts:12:5` */
  readonly frame?: string | undefined;
}

/**
 * The context of an unexpected error.
 *
 * @param route its name and the place of its declaration, for errors whose stack has no frame of
 * the application
 */
export function errorContextOf(
  error: Error,
  route: { readonly name: string; readonly at: CallSite | undefined },
): ErrorContext {
  let first = error;
  for (let depth = 0; depth < 10 && first.cause instanceof Error; depth += 1) first = first.cause;
  const frames = [first, error, route.at].map(applicationFrame);
  return {
    route: route.name,
    message: redactText(first.message),
    ...databaseErrorFields(first),
    statement: statementOf(first),
    frame: frames.find((frame) => frame !== undefined),
  };
}

/** The problem document of an error. */
export function problemOf(error: AppError, requestId: string): Problem {
  return {
    ...error.members,
    type: `urn:insulae:problem:${error.code}`,
    title: error.title,
    status: error.status,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    code: error.code,
    request_id: requestId,
    ...(error.errors ? { errors: error.errors } : {}),
  };
}

/** Errors that Fastify raises before a handler runs, by status; any other 4xx is a bad request. */
const frameworkErrors: Readonly<Record<number, ErrorFactory>> = {
  404: notFound,
  405: methodNotAllowed,
  408: requestTimeout,
  413: bodyTooLarge,
  414: uriTooLong,
  431: headersTooLarge,
};

/** The error that the client sees; `internal_error`, with the cause, for unknown errors. */
export function visibleError(error: unknown, constraints: ConstraintErrors): AppError {
  if (error instanceof AppError) return error;
  return (
    frameworkError(error) ?? databaseError(error, constraints) ?? internalError({ cause: error })
  );
}

function frameworkError(error: unknown): AppError | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("statusCode" in error)) return undefined;
  const { code, statusCode } = error;
  if (typeof code !== "string" || !code.startsWith("FST_")) return undefined;
  if (typeof statusCode !== "number" || statusCode < 400 || statusCode > 499) return undefined;
  if (statusCode === 415) return wrongMediaType("application/json");
  return (frameworkErrors[statusCode] ?? badRequest)({ cause: error });
}
