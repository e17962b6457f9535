import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

/** What a proxy's id may look like: it goes into headers and logs as it is. */
const acceptable = /^[A-Za-z0-9._-]{1,64}$/;

/** The id that a proxy gave the request in `x-request-id`, or a new one that cannot be guessed. */
export function requestId(
  request: Pick<IncomingMessage, "headers"> | { headers: IncomingHttpHeaders },
): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && acceptable.test(given) ? given : randomUUID();
}
