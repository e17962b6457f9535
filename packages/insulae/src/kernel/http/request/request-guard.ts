import type { IncomingMessage } from "node:http";
import type { AppError } from "../../lib/errors.ts";
import { badRequest, uriTooLong } from "../../lib/http-errors.ts";
import type { RequestState } from "../state/request-state.ts";

const maxUrlLength = 8_000;
const slash = 0x2f;

/** Without user and password, which no client sends to a server. */
const httpUrl = /^https?:\/\/([^/?#@]+)(?=[/?]|$)/i;

/**
 * Converts an absolute request target (`GET http://a.example/path`, RFC 9112, section 3.2.2) to
 * origin form, if its host equals the header `Host`, as the RFC requires: two hosts could be two
 * tenants. Others stay unchanged and are refused.
 */
export function takeOriginForm(request: IncomingMessage): void {
  const url = request.url ?? "";
  if (url.charCodeAt(0) === slash || url.length > maxUrlLength) return;
  const [start, host] = httpUrl.exec(url) ?? [];
  if (start === undefined || host?.toLowerCase() !== request.headers.host?.toLowerCase()) return;
  const rest = url.slice(start.length);
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
}

/** The first check of a request. @throws AppError */
export function refuseMalformed({ request }: RequestState): void {
  const problem = requestProblem(request.raw);
  if (problem) throw problem;
}

/**
 * Finds what only an attacker or a broken proxy sends: a target that is not a path, is too long, or
 * contains NUL, which PostgreSQL can't store; an undecodable query; duplicates of headers that must
 * be unique; and transfer encodings that a proxy may interpret differently.
 */
function requestProblem(request: IncomingMessage): AppError | undefined {
  const url = request.url ?? "";
  if (url.length > maxUrlLength) return uriTooLong();
  if (url.charCodeAt(0) !== slash) {
    return badRequest({
      detail: "The address must begin with /, or be a URL with the same host as the header Host.",
    });
  }
  if (url.includes("%00"))
    return badRequest({ detail: "The address contains a NUL character (%00). Remove it." });
  if (!isDecodable(url)) {
    return badRequest({
      detail: "The query contains a % that does not begin a UTF-8 character. Encode it as %25.",
    });
  }
  const encoding = request.headers["transfer-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "chunked") {
    return badRequest({ detail: "The only supported transfer encoding is chunked." });
  }
  const repeated = repeatedHeader(request.rawHeaders);
  if (repeated)
    return badRequest({ detail: `The header ${repeated} was sent twice. Send it once.` });
  return undefined;
}

/** The router has decoded the path; a query parser leaves undecodable parts as they are. */
function isDecodable(url: string): boolean {
  if (!url.includes("%")) return true;
  try {
    decodeURIComponent(url);
    return true;
  } catch {
    return false;
  }
}

/** Headers that decide on the caller, the tenant or the resource: one bit each. */
const decisive = new Map(
  [
    ...["Host", "Authorization", "X-API-Key", "X-Tenant", "X-Tenant-ID", "Client-Cert", "Origin"],
    ...["Content-Type", "If-Match", "Idempotency-Key"],
  ].map((name, index) => [name.toLowerCase(), { name, bit: 1 << index }]),
);

/** Node silently keeps the first or joins them, while a proxy before it may use another. */
function repeatedHeader(rawHeaders: readonly string[]): string | undefined {
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const known = decisive.get((rawHeaders[i] ?? "").toLowerCase());
    if (!known) continue;
    if ((seen & known.bit) !== 0) return known.name;
    seen |= known.bit;
  }
  return undefined;
}
