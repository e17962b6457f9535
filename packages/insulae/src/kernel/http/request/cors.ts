/**
 * CORS (Fetch standard, section 3.3), and the refusal of requests that a page of another origin
 * could have forged.
 *
 * A page can make a browser send requests whose responses it may not read: with cookies, with a
 * client certificate, from inside a network. Only requests with `Authorization` or `X-API-Key`
 * can't be forged this way, because the browser sends a preflight first. So a change without those
 * headers must come from a page of this host, of an allowed origin, or from no page at all.
 *
 * Browsers let pages of any origin open WebSockets, with cookies, but name the origin. So a
 * handshake must come from an allowed origin, whatever its credentials, or from a client that is no
 * browser: it names no origin, and must present more than a cookie.
 *
 * The decision needs only the host. It comes after the guard and the rate limits' first check, and
 * before authentication. Allowed pages can also read errors from before this step if their origin
 * is in memory; a refusal looks nothing up. Not @fastify/cors: it answers preflights in a hook
 * before those of the routes, that is before the guard, and adds that hook to every request.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Route } from "../../feature/feature.ts";
import { originRefused } from "../../lib/http-errors.ts";
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import type { Logger } from "../../telemetry/log.ts";
import { isLocal, type Origins, type OriginVerdict } from "./origins.ts";

export interface CorsOptions {
  readonly origins: Origins;
  /** Whether pages of allowed origins may send cookies and read the responses. */
  readonly credentials: boolean;
  /** Development only: whether pages of this machine, on any port, may open WebSockets. */
  readonly localPages?: boolean;
}

interface CorsDeps extends CorsOptions {
  /** Called for each request of a page that may not read the response, or was refused. */
  readonly onForeign?: ((origin: string) => void) | undefined;
}

export interface Cors {
  /**
   * Adds the headers for the page that sent the request.
   *
   * @throws originRefused, invalidHost
   */
  readonly admit: (
    request: FastifyRequest,
    reply: FastifyReply,
    route?: Route,
  ) => MaybePromise<void>;
  /** Answers a preflight. @throws originRefused, invalidHost */
  readonly preflight: (request: FastifyRequest, reply: FastifyReply) => MaybePromise<void>;
  /** Answers a preflight if it is allowed and needs no look-up. @returns whether it did */
  readonly preflightAtOnce: (request: FastifyRequest, reply: FastifyReply) => boolean;
  /** Adds the headers to an error from before `admit`, if that needs no look-up. */
  readonly admitError: (request: FastifyRequest, reply: FastifyReply) => void;
}

const methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
const requestHeaders =
  "authorization, content-type, x-tenant, x-tenant-id, x-api-key, x-csrf-token, idempotency-key, if-match, if-none-match, x-request-id";
const exposedHeaders =
  "x-request-id, etag, location, retry-after, idempotent-replayed, ratelimit, ratelimit-policy, " +
  "x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-ratelimit-retryafter";
/** Seconds; Chromium's maximum. The actual requests are still checked each time. */
const maxAge = "7200";

export function createCors(options: CorsDeps): Cors {
  const { origins, credentials, localPages, onForeign } = options;

  const allow = (reply: FastifyReply, origin: string): void => {
    reply.header("access-control-allow-origin", origin);
    if (credentials) reply.header("access-control-allow-credentials", "true");
  };
  const letRead = (reply: FastifyReply, origin: string): void => {
    allow(reply, origin);
    reply.header("access-control-expose-headers", exposedHeaders);
  };
  const grant = (reply: FastifyReply, origin: string): void => {
    allow(reply, origin);
    reply
      .header("access-control-allow-methods", methods)
      .header("access-control-allow-headers", requestHeaders)
      .header("access-control-max-age", maxAge)
      .code(204)
      .send();
  };

  const refuse = (origin: string): never => {
    onForeign?.(origin);
    throw originRefused();
  };

  const admitHandshake = ({ headers, host, url }: FastifyRequest): MaybePromise<void> => {
    const { origin } = headers;
    if (origin === undefined) {
      const { authorization, cookie, "x-api-key": apiKey } = headers;
      const shows = authorization ?? apiKey ?? /[?&](token|ticket)=/.exec(url);
      if (cookie !== undefined && !shows) throw originRefused();
      return;
    }
    if (localPages && isLocal(origin)) return;
    return chain(origins.classify(origin, host), (verdict) => {
      if (verdict === "foreign") refuse(origin);
    });
  };

  return {
    admit(request, reply, route) {
      if (route?.options.socket) return admitHandshake(request);
      const { origin } = request.headers;
      if (origin === undefined) {
        if (isForgeable(request) && isFromElsewhere(request)) throw originRefused();
        return;
      }
      const settle = (verdict: OriginVerdict): void => {
        if (verdict === "allowed") {
          letRead(reply, origin);
        } else if (verdict === "foreign") {
          if (isForgeable(request)) refuse(origin);
          onForeign?.(origin);
        }
      };
      return chain(origins.classify(origin, request.host), settle);
    },
    preflight(request, reply) {
      const { origin = "" } = request.headers;
      return chain(origins.classify(origin, request.host), (verdict) => {
        if (verdict === "foreign") refuse(origin);
        grant(reply, origin);
      });
    },
    preflightAtOnce(request, reply) {
      const { origin = "" } = request.headers;
      if (!isPreflight(request) || !origins.isKnown(origin, request.host)) return false;
      grant(reply, origin);
      return true;
    },
    admitError(request, reply) {
      const { origin } = request.headers;
      // The response to a failed preflight is for the browser alone.
      if (origin === undefined || isPreflight(request)) return;
      if (reply.hasHeader("access-control-allow-origin")) return;
      if (origins.isKnown(origin, request.host)) letRead(reply, origin);
    },
  };
}

const maxWarned = 100;

/** Warns once per origin, for up to 100 origins: the browser shows the page nothing useful. */
export function warnOfForeignOrigins(log: Logger): (origin: string) => void {
  const warned = new Set<string>();
  return (origin) => {
    if (warned.has(origin) || warned.size === maxWarned) return;
    warned.add(origin);
    log.warn(
      { origin: origin.slice(0, 300) },
      "Pages of this origin may not use the API. Allow it with CORS_ORIGINS or the tenant's cors_origins",
    );
  };
}

export const isPreflight = ({ method, headers }: FastifyRequest): boolean =>
  method === "OPTIONS" &&
  headers.origin !== undefined &&
  headers["access-control-request-method"] !== undefined;

/** Whether a page of any origin could have made a browser send it. */
const isForgeable = ({ method, headers }: FastifyRequest): boolean =>
  headers.authorization === undefined &&
  headers["x-api-key"] === undefined &&
  method !== "GET" &&
  method !== "HEAD";

/** Fetch metadata: `none` is a user's navigation; absent is an old browser or no browser. */
const isFromElsewhere = ({ headers }: FastifyRequest): boolean => {
  const site = headers["sec-fetch-site"];
  return site !== undefined && site !== "same-origin" && site !== "none";
};
