import type { FastifyReply, FastifyRequest } from "fastify";
import type { Feature, Route } from "../../feature/feature.ts";
import { type AnsweredRequest, type HookedRequest, inTurn } from "../../feature/hooks.ts";
import { routePath } from "../api/declarations.ts";
import { findState, requestLog } from "../state/request-state.ts";
import type { Step } from "./pipeline.ts";
import { RequestContext, type RouteDeps } from "./request-context.ts";

/** All features' hooks for one route; undefined if there are none. */
export interface RouteHooks {
  /** @throws what a hook throws */
  readonly before: Step | undefined;
  readonly after: ((request: FastifyRequest, reply: FastifyReply) => void) | undefined;
}

export function createRouteHooks(
  features: readonly Feature[],
): (route: Route, deps: RouteDeps) => RouteHooks {
  const requestHooks = features.flatMap(({ hooks }) => hooks.onRequest ?? []);
  const responseHooks = features.flatMap(({ hooks }) => hooks.onResponse ?? []);

  return (route, deps) => {
    const about = { method: route.method, path: routePath(route) };
    // Hooks get a tenant's context, without access to the platform, whatever the route's context.
    const narrow: RouteDeps = { ...deps, context: "tenant" };
    return {
      before:
        requestHooks.length === 0
          ? undefined
          : (state) => {
              const { request, reply, caller } = state;
              if (!caller) return;
              const refused = (error: unknown): never => {
                state.refusedByHook = true;
                throw error;
              };
              const context = new HookContext(about, narrow, caller, request, reply);
              try {
                // each was declared for its own feature's tables, which this tenant has
                const waiting = inTurn<never>(requestHooks, context as never);
                return waiting instanceof Promise ? waiting.catch(refused) : waiting;
              } catch (error) {
                return refused(error);
              }
            },
      after:
        responseHooks.length === 0
          ? undefined
          : (request, reply) => {
              const state = findState(request);
              if (!state?.caller) return;
              const context = new HookContext(about, narrow, state.caller, request, reply);
              context.response = {
                status: reply.raw.statusCode,
                milliseconds: performance.now() - state.startedAt,
              };
              for (const hook of responseHooks) {
                try {
                  hook(context as AnsweredRequest); // it has been answered
                } catch (error) {
                  requestLog(request, deps.log).error({ err: error }, "A hook failed");
                }
              }
            },
    };
  };
}

class HookContext extends RequestContext implements Omit<HookedRequest<never>, "db"> {
  readonly route: HookedRequest<never>["route"];
  response: AnsweredRequest["response"] | undefined;

  constructor(
    route: HookedRequest<never>["route"],
    ...rest: ConstructorParameters<typeof RequestContext>
  ) {
    super(...rest);
    this.route = route;
  }
}
