/**
 * Registers the routes of features. What happens to a request here, in this order: it is admitted (from
 * which page?), resolved (for whom, and may they?), waits for its tenant's turn, takes a place where only
 * so many may run at a time, is shown to the hooks,
 * its body is read, its parts are validated, the handler runs, and what it returned is sent. Nothing of
 * it waits unless it has to.
 */
import type { IncomingMessage } from "node:http";
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction,
} from "fastify";
import { Type } from "typebox";
import type { Feature, Route } from "../../feature/feature.ts";
import { AppError } from "../../lib/errors.ts";
import { chain, type MaybePromise } from "../../lib/maybe-promise.ts";
import type { Logger } from "../../telemetry/log.ts";
import { within } from "../../telemetry/tracing.ts";
import { tenantNotFound } from "../../tenancy/errors.ts";
import type { Validator, Validators } from "../../validation/validation.ts";
import { boundRoutes } from "../api/bounded-routes.ts";
import type { Cursors } from "../api/cursor.ts";
import { responsesOf, routePath } from "../api/declarations.ts";
import { errorSchemas } from "../api/declared-errors.ts";
import { problemSchema } from "../api/openapi.ts";
import { formConfigOf, isBodyOptional } from "../body/form-body.ts";
import { registerStreams, streamKindOf, streamReader } from "../body/stream-body.ts";
import {
  answerOnce,
  keyNotTaken,
  refusesIdempotencyKey,
  takesIdempotencyKey,
} from "../idempotency/idempotency.ts";
import type { RequestLimits } from "../limits/request-limits.ts";
import { asError, createAnswer, settle } from "../reply/answer.ts";
import type { AnswerChecks } from "../reply/answer-check.ts";
import {
  createConditional,
  type ShownResources,
  shownBefore,
  shownResources,
  taggedAnswers,
} from "../reply/conditional.ts";
import { type OpenSocket, refusalOf } from "../sockets/socket-route.ts";
import type { Cors } from "./cors.ts";
import type { EnterAt } from "./entrance.ts";
import { obeyHost } from "./host-rules.ts";
import { targetOf } from "./request-audit.ts";
import { RequestContext, type RouteSetting } from "./request-context.ts";
import { createRouteHooks, type RouteHooks } from "./request-hooks.ts";
import {
  findState,
  type RequestState,
  type Resolve,
  type ResolvedRequest,
  requestLog,
} from "./request-state.ts";

export interface RoutesOptions {
  readonly features: readonly Feature[];
  readonly enterAt: EnterAt;
  readonly limits: RequestLimits;
  readonly admit: Cors["admit"];
  readonly openSocket: OpenSocket;
  readonly resolve: Resolve;
  readonly cursors: Cursors;
  readonly validators: Validators;
  /** Absent in production. */
  readonly answerChecks: AnswerChecks | undefined;
  /** See `registerStreams`. */
  readonly takeTime: (request: IncomingMessage) => void;
  readonly baseUrl: () => string;
  /** Of the node. */
  readonly workers: number;
  readonly log: Logger;
}

/** Registers the routes; they must have passed `checkDeclarations`. */
export function registerRoutes(app: FastifyInstance, options: RoutesOptions): void {
  const shown = shownResources(options.features);
  const hooks = createRouteHooks(options.features);
  const bounded = boundRoutes(options.workers);
  const routes = options.features.flatMap((feature) => feature.routes);
  const [streams = [], others = []] = [true, false].map((wanted) =>
    routes.filter((route) => (streamKindOf(route) !== undefined) === wanted),
  );
  for (const route of others) registerRoute(app, route, options, shown, hooks, bounded(route));
  if (streams.length === 0) return;
  registerStreams(app, options.takeTime, (inner) => {
    for (const route of streams) registerRoute(inner, route, options, shown, hooks, bounded(route));
  });
}

const nothing = Type.Object({});
/** RFC 9457, section 3.2: a problem may have further members. */
const openProblem = { ...problemSchema, additionalProperties: true };

function registerRoute(
  app: FastifyInstance,
  route: Route,
  options: RoutesOptions,
  shown: ShownResources,
  hooks: ReturnType<typeof createRouteHooks>,
  begin: ReturnType<ReturnType<typeof boundRoutes>>,
): void {
  const url = routePath(route);
  const responses = responsesOf(route.options.response);
  const list = `${route.method} ${url}`;
  const context = route.options.context ?? "tenant";
  const successes = [...responses.keys()].filter((status) => status >= 200 && status < 400);
  const status = successes[0] ?? 200;
  const setting: RouteSetting = {
    list,
    context,
    statuses: new Set(responses.keys()),
    cursors: options.cursors,
    baseUrl: options.baseUrl,
    log: options.log,
  };
  const validate = requestValidator(route, options.validators);
  const check = options.answerChecks?.(responses, list);
  const answer = createAnswer(responses, list, taggedAnswers(route, shown), check);
  const changed = shownBefore(route, shown);
  const conditional = changed && createConditional(changed);
  const idempotent = takesIdempotencyKey(route);
  const handle = audited(route);
  const { before, after } = hooks(route, setting);

  const answerTo = (request: FastifyRequest, reply: FastifyReply): void => {
    // The client went away while its body was read.
    if (reply.raw.destroyed) return;
    const resolved = findState(request)?.resolved;
    if (!resolved || (context === "tenant" && !resolved.tenant)) {
      throw new Error(`${list} was reached without a tenant`);
    }
    validate(request);
    if (route.options.socket) {
      const { openSocket, resolve } = options;
      const ask = (now: ResolvedRequest) =>
        handle(new RequestContext(setting, now, request, reply));
      openSocket({ request, reply, route, resolved, resolve, ask });
      return;
    }
    if (status !== 200) reply.code(status);
    const condition = conditional?.conditionOf(request);
    if (conditional && condition) {
      const call = { setting, resolved, request, reply };
      const { context, value } = conditional.run(call, condition, handle);
      answer.send(reply, value, () => context.finish());
      return;
    }
    const called = new RequestContext(setting, resolved, request, reply);
    if (!idempotent || request.headers["idempotency-key"] === undefined) {
      answer.send(reply, handle(called), () => called.finish());
      return;
    }
    const log = requestLog(request, options.log);
    answerOnce({
      request,
      reply,
      resolved,
      log,
      // A handler that throws at once is to be caught like one that rejects.
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
      checkError: options.answerChecks?.(errorSchemas(route, shown, openProblem), list),
    },
    onRequest: entrance(route, options, before, begin),
    ...(after && {
      onResponse: (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
        after(request, reply);
        done();
      },
    }),
    handler: (request, reply) => within(findState(request)?.span, () => answerTo(request, reply)),
  });
}

/** Where anybody may send a body: a name, a password and a token have room in it several times. */
const strangersBodyLimit = 16 * 1024;

function bodyLimitOf({ options }: Route, standard: number): number {
  const isForStrangers = options.permission === "public" || options.limit === "credentials";
  return options.bodyLimit ?? (isForStrangers ? Math.min(strangersBodyLimit, standard) : standard);
}

function entrance(
  route: Route,
  { enterAt, limits, admit, resolve }: RoutesOptions,
  before: RouteHooks["before"],
  begin: ReturnType<ReturnType<typeof boundRoutes>>,
) {
  const enter = enterAt(routePath(route));

  /** It is known for whom the request is, and that it may go on. */
  const letIn = (
    request: FastifyRequest,
    reply: FastifyReply,
    state: RequestState,
    found: ResolvedRequest,
  ): MaybePromise<void> => {
    state.resolved = found;
    if (found.tenant?.hostSettings) obeyHost(request, reply, found.tenant);
    return whileWanted(
      reply,
      whileWanted(reply, limits.queue(found.tenant?.id, reply.raw), () =>
        begin?.(found.tenant, { request, reply }),
      ),
      () => before && within(state.span, () => before(request, reply, found)),
    );
  };

  return (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    let waiting: MaybePromise<void>;
    try {
      const state = enter(request, reply);
      const admitted = whileWanted(reply, limits.gate(request, reply, route), () =>
        limits.atOwnCost(request, reply, () => admit(request, reply, route)),
      );
      const resolved = whileWanted(reply, admitted, () =>
        within(state.span, () => limits.around(request, reply, route, resolve)),
      );
      waiting = whileWanted(reply, resolved, (found) => letIn(request, reply, state, found));
    } catch (error) {
      done(refusalOf(route, error));
      return;
    }
    if (!waiting) {
      done();
      return;
    }
    waiting.then(
      () => reply.raw.destroyed || done(),
      (error: unknown) => reply.raw.destroyed || done(refusalOf(route, error)),
    );
  };
}

/** What comes next, while somebody waits for the answer; when the client has gone, it never comes. */
const whileWanted = <T, R>(
  reply: FastifyReply,
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> =>
  chain(value, (found) => (reply.raw.destroyed ? new Promise<never>(() => {}) : next(found)));

type Handle = (context: RequestContext) => unknown;

/** The handler, or what the route answers where there is no such tenant. */
function hidingTenants({ handler, options }: Route): Handle {
  // Their contexts are those that the declaration was checked against.
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

/** The same, and the entry of the audit log that the route declares, if it wrote none itself. */
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

/** What a route does not declare, it does not take: an undeclared query or body is refused. */
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
