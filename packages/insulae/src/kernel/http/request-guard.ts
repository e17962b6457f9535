import type { IncomingMessage } from "node:http";
import type { AppError } from "../errors.ts";
import { badRequest, uriTooLong } from "./errors.ts";

const maxUrlLength = 8_000;
const slash = 0x2f;

/**
 * Refuses what only an attacker or a broken proxy sends, before anything is made of it: an address
 * in absolute form (whose host and the Host header could name two tenants), two Host headers, an
 * address that is too long, or one with a NUL, which PostgreSQL could not store, and encodings that
 * a proxy may read in another way.
 */
export function requestProblem(request: IncomingMessage): AppError | undefined {
  const url = request.url ?? "";
  if (url.length > maxUrlLength) return uriTooLong();
  if (url.charCodeAt(0) !== slash) return badRequest({ detail: "The address must begin with /" });
  if (url.includes("%00")) return badRequest({ detail: "The address has a character NUL" });
  const encoding = request.headers["transfer-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "chunked") {
    return badRequest({ detail: "The only transfer encoding is chunked" });
  }
  if (hostHeaders(request.rawHeaders) > 1) {
    return badRequest({ detail: "The header Host was sent twice" });
  }
  return undefined;
}

/** Node keeps the first and drops the others without a word; a proxy before it may keep the last. */
function hostHeaders(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    if (name.length === 4 && name.toLowerCase() === "host") count++;
  }
  return count;
}
