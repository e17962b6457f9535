import type { FastifyRequest } from "fastify";
import type { MaybePromise } from "../lib/maybe-promise.ts";
import type { FindPresented } from "../tls/presented-certificate.ts";
import { looksLikeApiKey } from "./api-key.ts";
import type { GuardedRoute } from "./guarded-route.ts";
import type { ResolverInput } from "./resolution.ts";
import type { Claims } from "./tokens.ts";

/** Reads the request. `X-Forwarded-Host` is used only behind a trusted proxy. */
function inputOf(request: FastifyRequest, findPresented: FindPresented): ResolverInput {
  const { authorization, cookie, "x-api-key": apiKey, "x-csrf-token": csrfToken } = request.headers;
  const { "x-tenant": tenantHeader, "x-tenant-id": tenantIdHeader } = request.headers;
  return {
    host: request.host,
    token: credentialOf(authorization, apiKey),
    certificate: findPresented(request),
    cookies: cookie,
    csrfToken: textOf(csrfToken),
    changes: request.method !== "GET" && request.method !== "HEAD",
    request,
    tenantHeader: textOf(tenantHeader),
    tenantIdHeader: textOf(tenantIdHeader),
  };
}

/** A header sent twice matches no tenant. */
const textOf = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header.join() : header;

/** Redeems a ticket for a purpose; undefined if it is invalid. */
export type RedeemTicket = (purpose: string, ticket: string) => Promise<Claims | undefined>;

export type ReadInput = (
  request: FastifyRequest,
  route: GuardedRoute,
) => MaybePromise<ResolverInput>;

/**
 * Reads requests. A WebSocket handshake is read once, because that redeems its ticket; later calls
 * for the same handshake return the cached input, marked as unattended.
 */
export function createReadInput(findPresented: FindPresented, redeem: RedeemTicket): ReadInput {
  const handshakes = new WeakMap<FastifyRequest, ResolverInput>();

  const handshakeInput = (
    request: FastifyRequest,
    purpose: string,
  ): MaybePromise<ResolverInput> => {
    const known = handshakes.get(request);
    if (known) return { ...known, unattended: true };
    const keep = (input: ResolverInput): ResolverInput => {
      handshakes.set(request, input);
      return input;
    };
    const input = inputOf(request, findPresented);
    const { token, ticket } = Object(request.query) as Readonly<Record<string, unknown>>; // from Fastify; may be undefined
    const given = [input.token, token, ticket].filter((shown) => shown !== undefined);
    if (given.length === 0 || given[0] === input.token) {
      return keep(given.length > 1 ? { ...input, token: "" } : input);
    }
    // More than one credential is invalid. API keys are too long-lived for a URL.
    const [shown] = given;
    if (given.length > 1 || typeof shown !== "string" || looksLikeApiKey(shown)) {
      return keep({ ...input, token: "" });
    }
    if (ticket === undefined) return keep({ ...input, token: shown });
    return redeem(purpose, shown).then((redeemed) =>
      keep(redeemed ? { ...input, redeemed } : { ...input, token: "" }),
    );
  };

  return (request, route) => {
    const { socket } = route.options;
    return socket ? handshakeInput(request, socket.ticketsFor) : inputOf(request, findPresented);
  };
}

/**
 * The bearer credential from either header. Malformed ones (another scheme, duplicates, both
 * headers) return an invalid credential, not none.
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

/** The common spelling first, then the full syntax (RFC 9110, section 11.1). */
const bearerToken = (authorization: string): string =>
  authorization.startsWith("Bearer ey")
    ? authorization.slice("Bearer ".length)
    : (/^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "");
