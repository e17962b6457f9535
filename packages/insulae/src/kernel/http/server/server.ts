/**
 * The HTTP server: Fastify, made strict. Every response has the security headers and a request id,
 * all errors have one format, and every route must declare who may call it.
 */
import { once } from "node:events";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import proxyAddress from "@fastify/proxy-addr";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { createCursors } from "../../feature/cursor.ts";
import type { Feature } from "../../feature/feature.ts";
import type { Platform } from "../../feature/platform.ts";
import type { Authorise } from "../../identity/authorise.ts";
import type { ErrorFactory } from "../../lib/errors.ts";
import { notFound } from "../../lib/http-errors.ts";
import { chain } from "../../lib/maybe-promise.ts";
import { createHttpMetrics } from "../../telemetry/http-metrics.ts";
import type { Logger } from "../../telemetry/log.ts";
import { gauge, type MetricsRegistry } from "../../telemetry/metrics.ts";
import type { Tracing } from "../../telemetry/tracing.ts";
import type { CertificatePair } from "../../tls/certificate-pair.ts";
import { createValidators } from "../../validation/validation.ts";
import { checkDeclarations } from "../api/check-declarations.ts";
import { routePath } from "../api/declarations.ts";
import { registerDocs } from "../api/docs.ts";
import { acceptForms } from "../body/form-body.ts";
import { acceptOnlyJson } from "../body/json-body.ts";
import { type ConsoleOptions, pathIn, registerConsole } from "../console/console-routes.ts";
import { type RequestLimits, unlimited } from "../limits/request-limits.ts";
import { createAnswerChecks } from "../reply/answer-check.ts";
import { createAnswerError } from "../reply/answer-error.ts";
import { createBeginRequest } from "../request/begin-request.ts";
import {
  type CorsOptions,
  createCors,
  isPreflight,
  warnOfForeignOrigins,
} from "../request/cors.ts";
import { type Step, takeThrough } from "../request/pipeline.ts";
import { refuseMalformed } from "../request/request-guard.ts";
import { createRequestId } from "../request/request-id.ts";
import { registerRoutes } from "../request/routes.ts";
import { securityHeaders } from "../request/security-headers.ts";
import { createOpenSocket } from "../sockets/socket-route.ts";
import type { SocketPeers } from "../sockets/socket-shares.ts";
import { createSockets, type SocketTimes } from "../sockets/sockets.ts";
import { createUpgrades } from "../sockets/upgrades.ts";
import { type Caller, type Identify, stateKey } from "../state/request-state.ts";
import { answerProblem } from "./connection-errors.ts";
import type { AdmitHost } from "./development-hosts.ts";
import { type HealthChecks, healthFeature } from "./health.ts";
import { type PagesOptions, registerPages } from "./html-pages.ts";
import { metricsFeature } from "./metrics.ts";
import { createNodeServers, type TlsOptions } from "./node-servers.ts";
import { createNotFound, isAnswered, shadowedAddresses } from "./not-found.ts";

export interface HttpServerOptions {
  readonly features: readonly Feature[];
  readonly identify: Identify;
  readonly authorise: Authorise;
  /** Whether the server answers for the host at all. */
  readonly admitHost?: AdmitHost | undefined;
  readonly health: HealthChecks;
  readonly metrics: MetricsRegistry;
  /** The token for metrics. Absent: public, but in production disabled. */
  readonly metricsToken?: string | undefined;
  readonly tracing?: Tracing | undefined;
  readonly cors: CorsOptions;
  readonly limits: RequestLimits;
  /** Signs cursors; the same on every node. */
  readonly cursorSecret: Uint8Array | string;
  /**
   * The server's public URL: `https://api.example.com`. Without PUBLIC_URL, known once it listens.
   */
  readonly baseUrl: () => string;
  readonly version: string;
  /** The application's name in the API reference. Default: Insulae. */
  readonly name?: string | undefined;
  /** Features that have an OpenAPI document of their own: the APIs of other systems. */
  readonly dialects?: ReadonlySet<Feature> | undefined;
  /** HTML pages. A feature's route at the same address takes precedence. */
  readonly pages?: PagesOptions | undefined;
  /** The web console at `/console`. Absent: there is none. */
  readonly console?: ConsoleOptions | undefined;
  readonly production: boolean;
  readonly log: Logger;
  /** The largest body in bytes, unless the route says otherwise. Default 1 MiB. */
  readonly bodyLimit?: number;
  /** Addresses and networks of proxies whose `X-Forwarded-…` is trusted. Default none. */
  readonly trustProxy?: readonly string[];
  /**
   * The time limit for receiving a request. Default 30 s, of which 10 s for the headers. Stream
   * bodies (`uploadForm`, `bytesBody`) may take ten minutes.
   */
  readonly requestTimeoutMs?: number;
  /** How often open WebSockets are checked. */
  readonly socketTimes?: SocketTimes;
  readonly socketPeers?: SocketPeers | undefined;
  /** The node's number of workers; limits per process are divided by it. Default 1. */
  readonly workers?: number;
  /** The time limit of `close()` for requests in flight. Default 10 s. */
  readonly shutdownGraceMs?: number;
}

export type HttpServer = FastifyInstance & {
  /**
   * Makes `/health/ready` say 503 and responses close their connections. Requests are still served,
   * so that load balancers have time to notice before `close()`.
   */
  readonly drain: () => void;
  /** Listens for TLS too. @returns the port */
  readonly listenTls: (options: {
    readonly port: number;
    readonly host: string;
    readonly tls: TlsOptions;
  }) => Promise<TlsListener>;
  /**
   * Listens on a further port that serves only some routes, at other addresses.
   *
   * @param options.routes the routes' paths by the paths they are served at
   */
  readonly listenFor: (options: {
    readonly port: number;
    readonly host: string;
    readonly routes: Readonly<Record<string, string>>;
  }) => Promise<{ readonly port: number }>;
};

export interface TlsListener {
  readonly port: number;
  /** From now on, the default certificate for hosts without their own. */
  readonly replaceCertificate: (pair: CertificatePair) => void;
}

/**
 * Creates the server; call `listen()` or `inject()`.
 *
 * @throws DeclarationError that lists everything wrong with the features' declarations
 */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { log, version, workers = 1 } = options;
  const upgrades = createUpgrades();
  const sockets = createSockets(options.socketTimes, options.socketPeers);
  const servers = createNodeServers({
    upgrades,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    longTimeoutMs: 600_000,
    graceMs: options.shutdownGraceMs ?? 10_000,
  });
  let stopping = false;
  const health = healthFeature({
    checks: options.health,
    version,
    log,
    isStopping: () => stopping,
  });
  const metrics = metricsFeature({
    metrics: options.metrics,
    token: options.metricsToken,
    production: options.production,
  });
  options.metrics.read(openConnections, () => [[servers.connections()]]);
  options.metrics.read(openSockets, () => [[sockets.count()]]);
  const features = [health, metrics, ...options.features];
  checkDeclarations(features);

  const beginAt = createBeginRequest({
    headers: securityHeaders(options.production && options.baseUrl().startsWith("https:")),
    log,
    metrics: createHttpMetrics(options.metrics),
    tracing: options.tracing,
  });
  const cors = createCors({
    ...options.cors,
    onForeign: options.production ? undefined : warnOfForeignOrigins(log),
  });
  const constraints = new Map<string, ErrorFactory>(
    features.flatMap((feature) => Object.entries(feature.constraints)),
  );
  const answerError = createAnswerError({
    constraints,
    beginUnrouted: beginAt(undefined),
    admitError: cors.admitError,
    debug: !options.production,
    log,
  });

  // Fastify's own way of deciding whose `X-Forwarded-…` to trust.
  const trusted = proxyAddress.compile([...(options.trustProxy ?? [])]);

  let handle: RequestListener = () => {};
  const app = fastify({
    logger: false, // the access log and lazy child loggers are cheaper than a child per request
    genReqId: createRequestId((address) => trusted(address, 0)),
    bodyLimit: options.bodyLimit ?? 1_048_576,
    trustProxy: options.trustProxy?.length ? [...options.trustProxy] : false,
    return503OnClosing: false, // requests on open connections are still served
    routerOptions: { maxParamLength: 500 },
    serverFactory(handler) {
      handle = handler;
      return servers.create(handler);
    },
    clientErrorHandler: () => {}, // each server has its own; Fastify would use only one
    frameworkErrors: answerError,
  });
  app.decorateRequest(stateKey, null);
  app.setErrorHandler(answerError);

  acceptOnlyJson(app, workers);
  acceptForms(app);
  // No route has this method. Otherwise Fastify would require a body before looking for one.
  app.addHttpMethod("QUERY", { hasBody: false, overrideExisting: true });
  app.addHook("preClose", async () => {
    await servers.stopListening();
    sockets.close();
    await servers.finish();
  });

  const shared = {
    cursors: createCursors(options.cursorSecret),
    validators: createValidators(),
    answerChecks: options.production ? undefined : createAnswerChecks(),
    baseUrl: options.baseUrl,
    beginAt,
    admitOrigin: cors.admit,
    authorise: options.authorise,
    openSocket: createOpenSocket({ upgrades, sockets, log }),
    allowSlowBody: servers.allowSlowBody,
    workers,
    traced: options.tracing !== undefined,
    log,
  };
  const { limits, admitHost, identify } = options;
  registerRoutes(app, {
    ...shared,
    features: [health],
    identify: () => nobody,
    admitHost: undefined,
    limits: unlimited,
  });
  registerRoutes(app, {
    ...shared,
    features: [metrics],
    identify: () => nobody,
    admitHost,
    limits: unlimited,
  });
  registerRoutes(app, { ...shared, features: options.features, identify, admitHost, limits });
  const { name, dialects, baseUrl, production } = options;
  const refuseIfExhausted: Step = (state) => limits.refuseIfExhausted(state);
  const chargeAnonymous: Step = (state) => limits.chargeAnonymous(state);
  const chargeInstallation: Step = (state) => limits.chargeInstallation(state);
  const docs = registerDocs(app, {
    ...{ features, name, dialects, version, baseUrl, production },
    onRequest: (path, isPart) =>
      takeThrough(beginAt(path), [refuseMalformed, isPart ? chargeInstallation : chargeAnonymous]),
  });
  const routes = features.flatMap((feature) =>
    feature.routes.map((route) => ({
      method: route.method,
      path: routePath(route),
      errorShape: route.options.errorShape,
    })),
  );
  const pages = Object.fromEntries(
    Object.entries(options.pages?.pages ?? {}).filter(([path]) => !isAnswered(routes, "GET", path)),
  );
  const { console: web } = options;
  const ahead: readonly Step[] = admitHost
    ? [refuseMalformed, ({ request }) => admitHost(request)]
    : [refuseMalformed];
  const consoleSteps = (path: string) =>
    takeThrough(beginAt(path), [
      ...ahead,
      // A first load is a page and about fifteen files: a hundred requests a minute would be six colleagues'.
      (state) => {
        const file = web?.find(pathIn(state.request));
        if (file && !file.isPage) return chargeInstallation(state);
        return chain(refuseIfExhausted(state), () => chargeAnonymous(state));
      },
    ]);
  const consolePaths = web
    ? registerConsole(
        app,
        { ...web, isHome: web.isHome && !isAnswered(routes, "GET", "/") },
        consoleSteps,
      )
    : [];
  if (options.pages) {
    const steps = [refuseMalformed, refuseIfExhausted, chargeAnonymous];
    if (admitHost) steps.push(({ request }) => admitHost(request));
    registerPages(app, { ...options.pages, pages }, (path) => takeThrough(beginAt(path), steps));
  }

  const addresses = [
    ...routes,
    ...[...docs, ...consolePaths, ...Object.keys(pages)].map((path) => ({ method: "GET", path })),
  ];
  const missing = createNotFound(addresses);
  const beginUnrouted = beginAt(undefined);
  const answerNothing = async (request: FastifyRequest, reply: FastifyReply) => {
    const state = beginUnrouted(request, reply);
    refuseMalformed(state);
    // Costs less than a refusal; without it, the page can't read the refusal of its request.
    if (cors.preflightAtOnce(request, reply)) return reply;
    await limits.refuseIfExhausted(state);
    if (isPreflight(request)) {
      try {
        await cors.preflight(request, reply);
      } catch (error) {
        await limits.chargeFailure(state, error);
      }
      return reply;
    }
    // Scanning all paths is work, so charge first.
    await limits.chargeAnonymous(state);
    if (state.isGone) return new Promise<never>(() => {}); // the client has disconnected
    await cors.admit(request, reply);
    const { error, errorShape } = missing(request.url);
    state.errorShape = errorShape;
    throw error;
  };
  app.register((inner, _options, done) => {
    // A hook, because a handler would run only after the body is read and parsed.
    inner.addHook("onRequest", answerNothing);
    const handler = () => {
      throw notFound();
    };
    inner.setNotFoundHandler(handler);
    for (const { method, path: url } of shadowedAddresses(addresses)) {
      inner.route({ method, url, handler });
    }
    done();
  });
  return Object.assign(app, {
    drain: () => {
      stopping = true;
      servers.drain();
    },
    listenFor: async ({ port, host, routes }: Parameters<HttpServer["listenFor"]>[0]) => {
      const server = servers.create(only(routes, handle));
      await once(server.listen({ port, host }), "listening");
      return { port: (server.address() as AddressInfo).port }; // it listens on TCP
    },
    listenTls: async ({ port, host, tls }: Parameters<HttpServer["listenTls"]>[0]) => {
      const server = servers.createTls(handle, tls);
      await once(server.listen({ port, host }), "listening");
      return {
        port: (server.address() as AddressInfo).port, // it listens on TCP
        replaceCertificate: ({ cert, key }: CertificatePair) =>
          server.setSecureContext({ cert, key, minVersion: "TLSv1.2" as const }),
      };
    },
  });
}

const openConnections = gauge("insulae_http_connections", "Open client connections");
const openSockets = gauge("insulae_websockets", "Open WebSockets");

/** Serves these paths as the routes they map to, and no others. */
const only =
  (routes: Readonly<Record<string, string>>, handle: RequestListener): RequestListener =>
  (request, response) => {
    const [path = "", ...query] = (request.url ?? "").split("?");
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined) {
      answerProblem(response, notFound());
      return;
    }
    request.url = [route, ...query].join("?");
    handle(request, response);
  };

/** The caller of health and metrics, which work even when the control plane is down. */
const nobody: Caller = Object.freeze({
  tenant: undefined,
  user: undefined,
  credential: undefined,
  db: undefined,
  get platform(): Platform {
    throw new Error("kernel routes have no platform");
  },
});
