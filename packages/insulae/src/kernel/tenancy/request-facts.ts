import type { FastifyRequest } from "fastify";
import { looksLikeApiKey } from "../auth/api-key.ts";
import type { FindPresented } from "../tls/presented-certificate.ts";
import type { RequestFacts } from "./resolution.ts";

/** What a request says of itself; the proxy's word for the host only where the proxy is trusted. */
export function requestFacts(request: FastifyRequest, findPresented: FindPresented): RequestFacts {
  const { authorization, cookie, "x-tenant": tenantHeader, "x-api-key": apiKey } = request.headers;
  const { "x-csrf-token": csrfToken } = request.headers;
  return {
    host: request.host,
    token: credentialOf(authorization, apiKey),
    certificate: findPresented(request),
    cookies: cookie,
    csrfToken: Array.isArray(csrfToken) ? csrfToken.join() : csrfToken,
    changes: request.method !== "GET" && request.method !== "HEAD",
    request,
    tenantHeader: Array.isArray(tenantHeader) ? tenantHeader.join() : tenantHeader,
  };
}

/**
 * The bearer credential, from either header. What can't be one (another scheme, a header that is sent
 * twice, both headers) is a credential that can't be valid, rather than none.
 */
function credentialOf(
  authorization: string | undefined,
  apiKey: string | string[] | undefined,
): string | undefined {
  if (apiKey === undefined)
    return authorization === undefined ? undefined : bearerToken(authorization);
  const alone = authorization === undefined && typeof apiKey === "string";
  return alone && looksLikeApiKey(apiKey) ? apiKey : "";
}

/** The scheme as nearly all clients write it, or as the pattern allows (RFC 9110, section 11.1). */
const bearerToken = (authorization: string): string =>
  authorization.startsWith("Bearer ey")
    ? authorization.slice("Bearer ".length)
    : (/^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "");
