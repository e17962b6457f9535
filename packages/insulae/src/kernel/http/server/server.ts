/**
 * The HTTP server: Fastify, made strict. Every answer has the security headers and a request id,
 * every error one shape, and nothing is registered that does not say who may call it.
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
import { type ConsoleOptions, nameIn, registerConsole } from "../console/console-routes.ts";
import { type RequestLimits, unlimited } from "../limits/request-limits.ts";
import { createAnswerChecks } from "../reply/answer-check.ts";
import { createAnswerError } from "../reply/answer-error.ts";
import { createBeginRequest } from "../request/begin-request.ts";
import { type CorsOptions, createCors, isPreflight, tellOfForeign } from "../request/cors.ts";
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
  /** Whom the metrics are for; none: for everybody, in production for nobody. */
  readonly metricsToken?: string | undefined;
  readonly tracing?: Tracing | undefined;
  readonly cors: CorsOptions;
  readonly limits: RequestLimits;
  /** Signs cursors; the same on every node. */
  readonly cursorSecret: Uint8Array | string;
  /** Where clients reach this server: `https://api.example.com`. Without PUBLIC_URL, known once it listens. */
  readonly baseUrl: () => string;
  readonly version: string;
  /** The application's, in the API reference. Default: Insulae. */
  readonly name?: string | undefined;
  /** Those of the features that have an OpenAPI document of their own: the APIs of other systems. */
  readonly dialects?: ReadonlySet<Feature> | undefined;
  /** Pages for people. Where a route of a feature's answers at the address, that does. */
  readonly pages?: PagesOptions | undefined;
  /** The web console at `/console`. Absent: there is none. */
  readonly console?: ConsoleOptions | undefined;
  readonly production: boolean;
  readonly log: Logger;
  /** The largest body in bytes, where a route says nothing else. Default 1 MiB. */
  readonly bodyLimit?: number;
  /** Addresses and networks of proxies whose `X-Forwarded-…` is believed. Default none. */
  readonly trustProxy?: readonly string[];
  /**
   * How long a whole request may take to come in. Default 30 s; its headers 10 s at most. What a route
   * reads as it comes (`uploadForm`, `bytesBody`) may take ten minutes.
   */
  readonly requestTimeoutMs?: number;
  /** How often open WebSockets are looked after. */
  readonly socketTimes?: SocketTimes;
  readonly socketPeers?: SocketPeers | undefined;
  /** Of the node; each may have a share of what is bounded for a process. Default 1. */
  readonly workers?: number;
  /** How long `close()` waits for what is in flight. Default 10 s. */
  readonly shutdownGraceMs?: number;
}

export type HttpServer = FastifyInstance & {
  /**
   * Has `/health/ready` say 503, and answers end their connections. Everything is served as before, so that
   * balancers have time to notice until `close()`.
   */
  readonly drain: () => void;
  /** Listens a second time, for TLS. @returns the port. */
  readonly listenTls: (options: {
    readonly port: number;
    readonly host: string;
    readonly tls: TlsOptions;
  }) => Promise<TlsListener>;
  /**
   * Listens once more, for a few addresses that stand for routes, and nothing else.
   *
   * @param options.routes the paths of routes by those that are served there.
   */
  readonly listenFor: (options: {
    readonly port: number;
    readonly host: string;
    readonly routes: Readonly<Record<string, string>>;
  }) => Promise<{ readonly port: number }>;
};

export interface TlsListener {
  readonly port: number;
  /** Connections from now on get this one where their host has none of its own. */
  readonly replaceCertificate: (pair: CertificatePair) => void;
}

/**
 * Makes the server; `listen()` or `inject()` it.
 *
 * @throws Error that lists all that is wrong with the declarations of the features.
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
    onForeign: options.production ? undefined : tellOfForeign(log),
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

  // As Fastify decides whose `X-Forwarded-…` it believes.
  const trusted = proxyAddress.compile([...(options.trustProxy ?? [])]);

  let handle: RequestListener = () => {};
  const app = fastify({
    logger: false, // the access line and the lazy child loggers are cheaper than a child a request
    genReqId: createRequestId((address) => trusted(address, 0)),
    bodyLimit: options.bodyLimit ?? 1_048_576,
    trustProxy: options.trustProxy?.length ? [...options.trustProxy] : false,
    return503OnClosing: false, // what comes in on a connection that is open yet is served
    routerOptions: { maxParamLength: 500 },
    serverFactory(handler) {
      handle = handler;
      return servers.create(handler);
    },
    clientErrorHandler: () => {}, // each server has its own, and Fastify asks for only one of them
    frameworkErrors: answerError,
  });
  app.decorateRequest(stateKey, null);
  app.setErrorHandler(answerError);

  acceptOnlyJson(app, workers);
  acceptForms(app);
  // No route has this method. Fastify would insist on a body before it looked for one.
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
        const file = web?.find(nameIn(state.request));
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
    // It costs less than a refusal, and without it a page can't read the refusal of its request.
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
    // Looking through all paths is work, which whoever asks pays for first.
    await limits.chargeAnonymous(state);
    if (state.isGone) return new Promise<never>(() => {}); // nobody waits for it
    await cors.admit(request, reply);
    const { error, errorShape } = missing(request.url);
    state.errorShape = errorShape;
    throw error;
  };
  app.register((inner, _options, done) => {
    // A hook, since the handler would come when a body has been read and parsed.
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

const openConnections = gauge("insulae_http_connections", "Connections of clients that are open");
const openSockets = gauge("insulae_websockets", "WebSockets that are open");

/** A handler for these paths, as if the routes had been asked for, and for no others. */
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

/** Health and metrics are asked for by nobody in particular, even when the control plane is down. */
const nobody: Caller = Object.freeze({
  tenant: undefined,
  user: undefined,
  credential: undefined,
  db: undefined,
  get platform(): Platform {
    throw new Error("the routes of the kernel have no platform");
  },
});
