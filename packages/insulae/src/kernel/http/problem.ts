/**
 * Every error leaves as `application/problem+json` (RFC 9457): `type`, `title`, `status`, `code`,
 * `request_id`, and where there is something to add, `detail` and `errors`. What is not an
 * `AppError` says nothing to the client and everything to the log.
 */
import { AppError, type ErrorFactory, type FieldError } from "../errors.ts";
import { type ConstraintErrors, databaseError } from "./database-errors.ts";
import {
  badRequest,
  bodyTooLarge,
  internalError,
  unsupportedMediaType,
  uriTooLong,
} from "./errors.ts";

export const problemType = "application/problem+json; charset=utf-8";

export interface Problem {
  /** `urn:insulae:problem:<code>`: stable, and nothing that has to be reachable. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly code: string;
  readonly request_id: string;
  readonly errors?: readonly FieldError[];
}

/** The body of the answer to an error. */
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

/** Errors that Fastify raises before a handler runs, by its codes. */
const frameworkErrors: Readonly<Record<string, ErrorFactory>> = {
  FST_ERR_BAD_URL: badRequest,
  FST_ERR_MAX_PARAM_LENGTH: uriTooLong,
  FST_ERR_CTP_BODY_TOO_LARGE: bodyTooLarge,
  FST_ERR_CTP_INVALID_MEDIA_TYPE: unsupportedMediaType,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: badRequest,
};

/** The error that the client sees; `internal_error`, with the cause, for whatever is not known. */
export function visibleError(error: unknown, constraints: ConstraintErrors): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const framework = typeof code === "string" ? frameworkErrors[code] : undefined;
  if (framework && error instanceof Error && "statusCode" in error)
    return framework({ cause: error });
  return databaseError(error, constraints) ?? internalError({ cause: error });
}
