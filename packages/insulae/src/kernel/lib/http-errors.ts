import { defineError } from "./errors.ts";

/** Errors of HTTP itself. Features define their own. */
export const validationFailed = defineError(
  "validation_failed",
  400,
  "The request does not match the route's schema. Correct the fields in errors.",
);
export const badRequest = defineError("bad_request", 400, "The request is not valid HTTP");
export const malformedJson = defineError("malformed_json", 400, "The body is not valid JSON");
export const originRefused = defineError(
  "origin_refused",
  403,
  "Pages of this origin may not call the API. Add the origin to CORS_ORIGINS or the tenant's cors_origins.",
);
export const notFound = defineError(
  "not_found",
  404,
  "There is nothing at this address. Check the path.",
);
export const methodNotAllowed = defineError(
  "method_not_allowed",
  405,
  "This address does not support this method. The header Allow lists those that it does.",
);
export const requestTimeout = defineError(
  "request_timeout",
  408,
  "The request arrived too slowly. Retry.",
);
export const lengthRequired = defineError(
  "length_required",
  411,
  "The request does not give its body's length. Send Content-Length.",
);
export const bodyTooLarge = defineError(
  "body_too_large",
  413,
  "The body is too large. Send less at once.",
);
export const uriTooLong = defineError(
  "uri_too_long",
  414,
  "The address is too long. Shorten the path or the query.",
);
export const unsupportedMediaType = defineError(
  "unsupported_media_type",
  415,
  "The body has an unsupported media type or encoding",
);
/** Errors for a body of the wrong type, and for a compressed one. */
export const wrongMediaType = (wanted: string) =>
  unsupportedMediaType({ detail: `Send the body as ${wanted}.` });
export const encodedBody = () =>
  unsupportedMediaType({ detail: "Send the body without Content-Encoding." });
export const expectationFailed = defineError(
  "expectation_failed",
  417,
  "The server does not support this Expect header. Send the request without it.",
);
/** With `policy`, `limit`, `window` and `setting`: which limit it is, and what an operator changes. */
export const rateLimitExceeded = defineError("rate_limit_exceeded", 429, "Rate limit exceeded");
export const headersTooLarge = defineError(
  "headers_too_large",
  431,
  "The headers are too large. Send fewer or smaller headers, or delete cookies.",
);
export const internalError = defineError(
  "internal_error",
  500,
  "The server failed to handle the request. Report its request_id to the operator.",
);
