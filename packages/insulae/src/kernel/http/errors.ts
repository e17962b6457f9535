import { defineError } from "../errors.ts";

/** Errors of HTTP itself; those of features are defined by the features. */
export const validationFailed = defineError(
  "validation_failed",
  400,
  "The request does not have the expected form",
);
export const badRequest = defineError("bad_request", 400, "The request is not well-formed HTTP");
export const malformedJson = defineError("malformed_json", 400, "The body is not acceptable JSON");
export const originRefused = defineError(
  "origin_refused",
  403,
  "Pages of this origin may not do this; CORS_ORIGINS, or the tenant's cors_origins, say which may",
);
export const notFound = defineError("not_found", 404, "There is nothing at this address");
export const methodNotAllowed = defineError(
  "method_not_allowed",
  405,
  "This address does not answer this method",
);
export const requestTimeout = defineError("request_timeout", 408, "The request came in too slowly");
export const lengthRequired = defineError(
  "length_required",
  411,
  "The request must say how long its body is: send Content-Length",
);
export const bodyTooLarge = defineError("body_too_large", 413, "The body is too large");
export const uriTooLong = defineError("uri_too_long", 414, "The address is too long");
export const unsupportedMediaType = defineError(
  "unsupported_media_type",
  415,
  "The body is not of a type or encoding that is taken here",
);
/** The errors of a body of another type than this one, and of one that is compressed. */
export const wrongMediaType = (wanted: string) =>
  unsupportedMediaType({ detail: `The body must be sent as ${wanted}` });
export const encodedBody = () =>
  unsupportedMediaType({ detail: "The body must be sent without Content-Encoding" });
export const expectationFailed = defineError(
  "expectation_failed",
  417,
  "The expectation in the request cannot be met",
);
export const headersTooLarge = defineError("headers_too_large", 431, "The headers are too large");
export const internalError = defineError("internal_error", 500, "Something went wrong here");
