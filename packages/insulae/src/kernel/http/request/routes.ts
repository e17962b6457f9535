/**
 * Registers the features' routes. A request goes through the steps of `pipeline.ts`; then its body
 * is read, its parts are validated, the handler runs, and the result is sent. Nothing is awaited
 * unless necessary.
 */
import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { Cursors } from "../../feature/cursor.ts";
import type { Feature, Route } from "../../feature/feature.ts";
import type { Authorise } from "../../identity/authorise.ts";
import { AppError, asError } from "../../lib/errors.ts";
import { chain } from "../../lib/maybe-promise.ts";
import type { Logger } from "../../telemetry/log.ts";
import { within } from "../../telemetry/tracing.ts";
import { tenantNotFound } from "../../tenancy/errors.ts";
import type { Validator, Validators } from "../../validation/validation.ts";
import { boundRoutes } from "../api/bounded-routes.ts";
import { responsesOf, routePath } from "../api/declarations.ts";
import { errorSchemas } from "../api/declared-errors.ts";
import { type EtagSources, etagSourceOf, etagSources, taggedAnswers } from "../api/etag-sources.ts";
import { keyNotTaken, refusesIdempotencyKey, takesIdempotencyKey } from "../api/idempotency-key.ts";
import { problemSchema } from "../api/openapi.ts";
import { formConfigOf, isBodyOptional } from "../body/form-body.ts";
import { registerStreams, streamKindOf, streamReader } from "../body/stream-body.ts";
import { answerOnce } from "../idempotency/idempotency.ts";
import type { RequestLimits } from "../limits/request-limits.ts";
import { createAnswer, settle } from "../reply/answer.ts";
import type { AnswerChecks } from "../reply/answer-check.ts";
import { type OpenSocket, refusalOf } from "../sockets/socket-route.ts";
import { type Caller, findState, type Identify, requestLog } from "../state/request-state.ts";
import type { BeginAt } from "./begin-request.ts";
import { createConditional } from "./conditional.ts";
import type { Cors } from "./cors.ts";
import { type RoutePipeline, routeSteps, type Step, takeThrough } from "./pipeline.ts";
import { targetOf } from "./request-audit.ts";
import { RequestContext, type RouteDeps } from "./request-context.ts";
import { createRouteHooks } from "./request-hooks.ts";

export interface RoutesOptions {
  readonly features: readonly Feature[];
  readonly beginAt: BeginAt;
  readonly limits: RequestLimits;
  readonly admitOrigin: Cors["admit"];
  readonly admitHost: RoutePipeline["admitHost"];
  readonly openSocket: OpenSocket;
  readonly identify: Identify;
  readonly authorise: Authorise;
  readonly cursors: Cursors;
  readonly validators: Validators;
  /** Absent in production. */
  readonly answerChecks: AnswerChecks | undefined;
  /** See `registerStreams`. */
  readonly allowSlowBody: (request: IncomingMessage) => void;
  readonly baseUrl: () => string;
  /** The node's. */
  readonly workers: number;
  /** Whether traces are collected. */
  readonly traced: boolean;
  readonly log: Logger;
}

/** Registers the routes, which must have passed `checkDeclarations`. */
export function registerRoutes(app: FastifyInstance, options: RoutesOptions): void {
  const sources = etagSources(options.features);
  const hooks = createRouteHooks(options.features);
  const bounded = boundRoutes(options.workers);
  const routes = options.features.flatMap((feature) => feature.routes);
  const [streams = [], others = []] = [true, false].map((wanted) =>
    routes.filter((route) => (streamKindOf(route) !== undefined) === wanted),
  );
  for (const route of others) registerRoute(app, route, options, sources, hooks, bounded(route));
  if (streams.length === 0) return;
  registerStreams(app, options.allowSlowBody, (inner) => {
    for (const route of streams)
      registerRoute(inner, route, options, sources, hooks, bounded(route));
  });
}

const nothing = Type.Object({});
/** RFC 9457, section 3.2: problems may have additional members. */
const openProblem = { ...problemSchema, additionalProperties: true };

function registerRoute(
  app: FastifyInstance,
  route: Route,
  options: RoutesOptions,
  sources: EtagSources,
  hooks: ReturnType<typeof createRouteHooks>,
  place: ReturnType<ReturnType<typeof boundRoutes>>,
): void {
  const url = routePath(route);
  const responses = responsesOf(route.options.response);
  const list = `${route.method} ${url}`;
  const context = route.options.context ?? "tenant";
  const successes = [...responses.keys()].filter((status) => status >= 200 && status < 400);
  const status = successes[0] ?? 200;
  const deps: RouteDeps = {
    list,
    context,
    statuses: new Set(responses.keys()),
    cursors: options.cursors,
    baseUrl: options.baseUrl,
    log: options.log,
  };
  const validate = requestValidator(route, options.validators);
  const check = options.answerChecks?.(responses, list);
  const answer = createAnswer(responses, list, taggedAnswers(route, sources), check);
  const changed = etagSourceOf(route, sources);
  const conditional = changed && createConditional(changed);
  const idempotent = takesIdempotencyKey(route);
  const handle = audited(route);
  const { before, after } = hooks(route, deps);
  const takePlace: Step | undefined = place && ((state) => place(state.caller?.tenant, state));

  const answerTo = (request: FastifyRequest, reply: FastifyReply): void => {
    // The client disconnected while its body was being read.
    if (reply.raw.destroyed) return;
    const caller = findState(request)?.caller;
    if (!caller || (context === "tenant" && !caller.tenant)) {
      throw new Error(`${list} was reached without a tenant`);
    }
    validate(request);
    if (route.options.socket) {
      const ask = (now: Caller) => handle(new RequestContext(deps, now, request, reply));
      const checkCaller = () =>
        chain(options.identify(request, route), (now) => {
          options.authorise(route, now);
          return now;
        });
      options.openSocket({ request, reply, route, caller, checkCaller, ask });
      return;
    }
    if (status !== 200) reply.code(status);
    const condition = conditional?.conditionOf(request);
    if (conditional && condition) {
      const call = { deps, caller, request, reply };
      const { context, value } = conditional.run(call, condition, handle);
      answer.send(reply, value, () => context.finish());
      return;
    }
    const called = new RequestContext(deps, caller, request, reply);
    if (!idempotent || request.headers["idempotency-key"] === undefined) {
      answer.send(reply, handle(called), () => called.finish());
      return;
    }
    const log = requestLog(request, options.log);
    answerOnce({
      request,
      reply,
      caller,
      log,
      // `async`, so that a synchronous throw becomes a rejection.
      async run() {
        const value = await handle(called);
        await called.finish();
        return answer.render(reply, value);
      },
    }).then(
      (payload) => reply.send(payload),
      (error: unknown) => reply.send(asError(error)),
    );
  };

  app.route({
    method: route.method,
    url,
    bodyLimit: bodyLimitOf(route, app.initialConfig.bodyLimit ?? strangersBodyLimit),
    config: {
      errorShape: route.options.errorShape,
      ...formConfigOf(route),
      declaredAt: route.at,
      checkError: options.answerChecks?.(errorSchemas(route, sources, openProblem), list),
    },
    onRequest: takeThrough(
      options.beginAt(url),
      routeSteps({ ...options, route, takePlace, runHooks: before }),
      (error) => refusalOf(route, error),
    ),
    ...(after && {
      onResponse: (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
        after(request, reply);
        done();
      },
    }),
    handler: options.traced
      ? (request, reply) => within(findState(request)?.span, () => answerTo(request, reply))
      : answerTo,
  });
}

/** For public routes: ample for a name, a password and a token. */
const strangersBodyLimit = 16 * 1024;

function bodyLimitOf({ options }: Route, standard: number): number {
  const isForStrangers = options.permission === "public" || options.limit === "credentials";
  return options.bodyLimit ?? (isForStrangers ? Math.min(strangersBodyLimit, standard) : standard);
}

type Handle = (context: RequestContext) => unknown;

/** The handler; if the tenant does not exist, the route's own refusal instead. */
function hidingTenants({ handler, options }: Route): Handle {
  // the declaration was checked against these contexts
  const handle = handler as Handle;
  const ofUnknown = options.unknownTenant as Handle | undefined;
  if (!ofUnknown) return handle;
  return async (context) => {
    if (context.isUnknownTenant) return ofUnknown(context);
    try {
      return await settle(handle(context));
    } catch (error) {
      if (error instanceof AppError && error.code === tenantNotFound.code)
        return ofUnknown(context);
      throw error;
    }
  };
}

/**
 * The handler, followed by the audit entry that the route declares unless the handler wrote one.
 */
function audited(route: Route): Handle {
  const { options } = route;
  const handle = hidingTenants(route);
  const action = options.audit;
  if (typeof action !== "string") return handle;
  return async (context) => {
    const value = await settle(handle(context));
    if (!context.audited) {
      await context.audit({ action, target: targetOf(action, context.params, value) });
    }
    return value;
  };
}

/** An undeclared query or body is refused. */
function requestValidator(route: Route, validators: Validators): (request: FastifyRequest) => void {
  const { params, query, body } = route.options;
  const checkParams: Validator | undefined = params && validators(params, "params");
  const checkQuery = validators(query ?? nothing, "query");
  const stream = streamKindOf(route);
  const read = stream && streamReader(route, stream, validators);
  const checkBody = validators(body ?? nothing, "body");
  const skipQuery = query === undefined;
  const skipBody = body === undefined || isBodyOptional(body);
  const refusesKey = refusesIdempotencyKey(route);
  return (request) => {
    if (refusesKey && request.headers["idempotency-key"] !== undefined) throw keyNotTaken();
    checkParams?.(request.params);
    if (!skipQuery || hasMembers(request.query)) checkQuery(request.query);
    if (read) request.body = read(request);
    else if (!skipBody || request.body !== undefined) checkBody(request.body);
  };
}

function hasMembers(value: unknown): boolean {
  for (const _name in value as object) return true; // the query is always an object
  return false;
}
