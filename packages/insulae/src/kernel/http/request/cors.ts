/**
 * What a browser is told about pages of other origins (CORS, Fetch standard section 3.3), and what is
 * refused because such a page could have caused it.
 *
 * A page can make a browser send a request it may not read: with cookies, with a client certificate,
 * from inside a network. Only a request with `Authorization` or `X-API-Key` can't be forged so, because a
 * browser asks before it sends such a header. So whatever changes something and has none must come from a page of
 * this host or of an allowed origin, or from no page at all.
 *
 * A WebSocket is not kept from a page of any origin by the browser, which sends the cookie along and
 * names the origin. So a handshake must come from a page that is allowed, whatever it shows, or from
 * no browser: then it names no origin, and shows more than a cookie.
 *
 * The decision takes the host alone, and comes after the guard and the rate limits' gate, and before
 * anybody is authenticated. Pages that may read answers can also read the errors that come before it,
 * provided that their origin is in memory: a refusal looks nothing up. This is ours and not @fastify/cors,
 * which answers preflights in a hook before those of the routes, that is before the guard, and puts
 * that hook into every request.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Route } from "../../feature/feature.ts";
import { originRefused } from "../../lib/http-errors.ts";
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import type { Logger } from "../../telemetry/log.ts";
import { isLocal, type Origins, type OriginVerdict } from "./origins.ts";

export interface CorsOptions {
  readonly origins: Origins;
  /** Whether pages of allowed origins may send cookies, and read what was answered to them. */
  readonly credentials: boolean;
  /** Whether pages of this machine, on any port, may open WebSockets: for development. */
  readonly localPages?: boolean;
}

interface CorsSetting extends CorsOptions {
  /** Hears of each request of a page that may not read the answer, or was refused. */
  readonly onForeign?: ((origin: string) => void) | undefined;
}

export interface Cors {
  /**
   * Adds the headers for the page that the request comes from.
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
  /** Answers a preflight if it is to be granted and that needs no look-up. @returns whether it did */
  readonly preflightAtOnce: (request: FastifyRequest, reply: FastifyReply) => boolean;
  /** Adds the headers to an error that came before `admit`, where that needs no look-up. */
  readonly admitError: (request: FastifyRequest, reply: FastifyReply) => void;
}

const methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
const requestHeaders =
  "authorization, content-type, x-tenant, x-tenant-id, x-api-key, x-csrf-token, idempotency-key, if-match, if-none-match, x-request-id";
const exposedHeaders =
  "x-request-id, etag, location, retry-after, idempotent-replayed, ratelimit, ratelimit-policy, " +
  "x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-ratelimit-retryafter";
/** Seconds; Chromium keeps none longer. What is then sent is judged each time. */
const maxAge = "7200";

export function createCors(options: CorsSetting): Cors {
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
      // The answer to a preflight that failed is for the browser alone.
      if (origin === undefined || isPreflight(request)) return;
      if (reply.hasHeader("access-control-allow-origin")) return;
      if (origins.isKnown(origin, request.host)) letRead(reply, origin);
    },
  };
}

const maxTold = 100;

/** Says so once for each origin, and of so many: a browser tells its page nothing that helps. */
export function tellOfForeign(log: Logger): (origin: string) => void {
  const told = new Set<string>();
  return (origin) => {
    if (told.has(origin) || told.size === maxTold) return;
    told.add(origin);
    log.warn(
      { origin: origin.slice(0, 300) },
      "Pages of this origin may not use the API. CORS_ORIGINS, or the tenant's cors_origins, say which may",
    );
  };
}

/** A browser asks whether a page may send what it is about to send. */
export const isPreflight = ({ method, headers }: FastifyRequest): boolean =>
  method === "OPTIONS" &&
  headers.origin !== undefined &&
  headers["access-control-request-method"] !== undefined;

/** A page of any origin could have made a browser send it. */
const isForgeable = ({ method, headers }: FastifyRequest): boolean =>
  headers.authorization === undefined &&
  headers["x-api-key"] === undefined &&
  method !== "GET" &&
  method !== "HEAD";

/** Fetch metadata: `none` is the user's own doing, and absent is an old browser or no browser. */
const isFromElsewhere = ({ headers }: FastifyRequest): boolean => {
  const site = headers["sec-fetch-site"];
  return site !== undefined && site !== "same-origin" && site !== "none";
};
