import type { FastifyRequest } from "fastify";
import type { FindPresented } from "../tls/presented-certificate.ts";
import type { RequestFacts } from "./resolution.ts";

/** What a request says of itself; the proxy's word for the host only where the proxy is trusted. */
export function requestFacts(request: FastifyRequest, findPresented: FindPresented): RequestFacts {
  const { authorization, "x-tenant": tenantHeader } = request.headers;
  return {
    host: request.host,
    // Any other scheme is a token that can't be valid, rather than none.
    token: authorization === undefined ? undefined : bearerToken(authorization),
    certificate: findPresented(request),
    tenantHeader: Array.isArray(tenantHeader) ? tenantHeader.join() : tenantHeader,
  };
}

/** The scheme as nearly all clients write it, or as the pattern allows (RFC 9110, section 11.1). */
const bearerToken = (authorization: string): string =>
  authorization.startsWith("Bearer ey")
    ? authorization.slice("Bearer ".length)
    : (/^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "");
