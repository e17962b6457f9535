/**
 * A request's path, in the order in which it happens. What Fastify does afterwards: the body is read, its parts
 * are validated, the handler runs, and its answer is sent (routes.ts).
 *
 * A step returns a promise only where it has to wait, and throws to refuse. While everything is in the caches, none
 * of them waits, and the whole path makes no promise.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Route } from "../../feature/feature.ts";
import type { Authorise } from "../../identity/authorise.ts";
import { asError } from "../../lib/errors.ts";
import type { MaybePromise } from "../../lib/maybe-promise.ts";
import type { RequestLimits } from "../limits/request-limits.ts";
import type { Identify, RequestState } from "../state/request-state.ts";
import type { BeginRequest } from "./begin-request.ts";
import type { Cors } from "./cors.ts";
import { obeyHost } from "./host-rules.ts";
import { refuseMalformed } from "./request-guard.ts";

export type Step = (state: RequestState) => MaybePromise<void>;

export interface RoutePipeline {
  readonly route: Route;
  readonly limits: RequestLimits;
  readonly admitOrigin: Cors["admit"];
  /** In development: whether the server answers for the host at all. */
  readonly admitHost: ((request: FastifyRequest) => MaybePromise<void>) | undefined;
  readonly identify: Identify;
  readonly authorise: Authorise;
  /** Where only so many requests of the route may run at a time. */
  readonly takePlace: Step | undefined;
  readonly runHooks: Step | undefined;
}

/** The steps of a request for a route of a feature's, after `beginRequest`. */
export function routeSteps(pipeline: RoutePipeline): readonly Step[] {
  const { route, limits, admitHost, takePlace, runHooks } = pipeline;
  const { limit } = route.options;

  const refuseIfExhausted: Step = (state) => limits.refuseIfExhausted(state, limit);
  const admitOrigin: Step = ({ request, reply }) => pipeline.admitOrigin(request, reply, route);
  const chargeAhead: Step = (state) => limits.chargeAhead(state, limit);
  const identify: Step = (state) => {
    const caller = pipeline.identify(state.request, route);
    if (!(caller instanceof Promise)) state.caller = caller;
    else {
      return caller.then((found) => {
        state.caller = found;
      });
    }
  };
  const authorise: Step = ({ caller }) => caller && pipeline.authorise(route, caller);
  const chargeCaller: Step = (state) => limits.chargeCaller(state, limit);
  const applyHostRules: Step = ({ request, reply, caller }) => {
    if (caller?.tenant?.hostSettings) obeyHost(request, reply, caller.tenant);
  };
  const waitForTurn: Step = (state) => limits.throttle(state.caller?.tenant?.id, state);

  /** Whoever's fault it is that the step fails is charged. */
  const charged = (step: Step): Step => {
    return (state) => {
      const fail = (error: unknown) => limits.chargeFailure(state, error);
      try {
        return step(state)?.catch(fail);
      } catch (error) {
        return fail(error);
      }
    };
  };

  return [
    refuseMalformed, //            what no route should see
    refuseIfExhausted, //          429 before anything costs
    charged(admitOrigin), //       CORS, and requests that another origin's page forged
    chargeAhead, //                strangers, log-ins and signed URLs
    ...(admitHost ? [charged(({ request }) => admitHost(request))] : []),
    charged(identify), //          for which tenant, and who
    charged(authorise), //         the route's one permission
    chargeCaller, //               the tenant's, account's and host's buckets; the quota
    applyHostRules, //             frames, and the size of the body
    waitForTurn, //                while others of the tenant run
    ...(takePlace ? [takePlace] : []),
    ...(runHooks ? [runHooks] : []),
  ];
}

type OnRequest = (
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
) => void;

/**
 * Fastify's hook that begins a request and takes it through the steps. When the client has gone, the next step never
 * comes.
 *
 * @param refusal what is answered where a step throws.
 */
export function takeThrough(
  beginRequest: BeginRequest,
  steps: readonly Step[],
  refusal: (error: unknown) => Error = asError,
): OnRequest {
  const go = (state: RequestState, from: number, done: (error?: Error) => void): void => {
    if (state.isGone) return;
    try {
      for (let at = from; at < steps.length; at += 1) {
        const waiting = steps[at]?.(state);
        if (!waiting) continue;
        waiting.then(
          () => go(state, at + 1, done),
          (error: unknown) => state.isGone || done(refusal(error)),
        );
        return;
      }
    } catch (error) {
      done(refusal(error));
      return;
    }
    done();
  };
  return (request, reply, done) => {
    const state = beginRequest(request, reply);
    if (state.span) state.span.run(() => go(state, 0, done));
    else go(state, 0, done);
  };
}
