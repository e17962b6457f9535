/** Which routes accept `Idempotency-Key`, and its errors. */
import type { Route } from "../../feature/feature.ts";
import { defineError } from "../../lib/errors.ts";
import { hasSecret } from "../../validation/schemas.ts";
import { streamKindOf } from "../body/stream-body.ts";
import { responsesOf } from "./declarations.ts";

export const invalidKey = defineError(
  "invalid_idempotency_key",
  400,
  "The Idempotency-Key is invalid. Use 1 to 255 visible ASCII characters, with or without quotes.",
);
export const keyReused = defineError(
  "idempotency_key_reused",
  422,
  "This Idempotency-Key was used for a different request. Use a new key for each request.",
);
export const inProgress = defineError(
  "idempotent_request_in_progress",
  409,
  "The first request with this Idempotency-Key is still running. Retry when it is done.",
);
export const answerTooLarge = defineError(
  "idempotent_answer_too_large",
  409,
  "The request was already done, but its response was too large to store. Fetch the result instead of repeating the request.",
);

/** For changes: a client that relied on the key would make them twice. */
export const keyNotTaken = defineError(
  "idempotency_key_not_taken",
  400,
  "This route does not support Idempotency-Key. Send the request without the header, and check its outcome before you repeat it.",
);

export const idempotencyErrors = [invalidKey, keyReused, inProgress, answerTooLarge] as const;

export function takesIdempotencyKey(route: Route): boolean {
  const { permission, context = "tenant", response } = route.options;
  const responses = responsesOf(response);
  return (
    route.method === "POST" &&
    streamKindOf(route) === undefined &&
    context === "tenant" &&
    permission !== "public" &&
    responses.has(201) &&
    ![...responses.values()].some((schema) => schema !== null && hasSecret(schema))
  );
}

const changing = new Set<string>(["POST", "PUT", "PATCH"]);

/** Whether a route refuses the header, because the client would rely on it in vain. */
export const refusesIdempotencyKey = (route: Route): boolean =>
  changing.has(route.method) && !takesIdempotencyKey(route);
