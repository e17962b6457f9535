/**
 * The steps of a request, in order. Afterwards Fastify reads the body, validates the parts, runs
 * the handler and sends the response (routes.ts).
 *
 * A step throws to refuse, and returns a promise only if it has to wait. With warm caches no step
 * waits, and the whole path creates no promise.
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
  /** Development only: whether the server answers for the host at all. */
  readonly admitHost: ((request: FastifyRequest) => MaybePromise<void>) | undefined;
  readonly identify: Identify;
  readonly authorise: Authorise;
  /** Only for routes with `atATime`. */
  readonly takePlace: Step | undefined;
  readonly runHooks: Step | undefined;
}

/** The steps of a feature route's request, after `beginRequest`. */
export function routeSteps(pipeline: RoutePipeline): readonly Step[] {
  const { route, limits, admitHost, takePlace, runHooks } = pipeline;
  const { limit } = route.options;

  const refuseIfExhausted: Step = (state) => limits.refuseIfExhausted(state, limit);
  const admitOrigin: Step = ({ request, reply }) => pipeline.admitOrigin(request, reply, route);
  const chargeAhead: Step = (state) => limits.chargeAhead(state, limit);
  const identify: Step = (state) => {
    const caller = pipeline.identify(state.request, route);
    if (caller instanceof Promise) {
      return caller.then((found) => {
        state.caller = found;
      });
    }
    state.caller = caller;
  };
  const authorise: Step = ({ caller }) => caller && pipeline.authorise(route, caller);
  const chargeCaller: Step = (state) => limits.chargeCaller(state, limit);
  const applyHostRules: Step = ({ request, reply, caller }) => {
    if (caller?.tenant?.hostSettings) obeyHost(request, reply, caller.tenant);
  };
  const waitForTurn: Step = (state) => limits.throttle(state.caller?.tenant?.id, state);

  /** Charges whoever caused the step to fail. */
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
    refuseMalformed, // broken or hostile requests
    refuseIfExhausted, // 429 before anything costs
    charged(admitOrigin), // CORS, and requests forged by a page of another origin
    chargeAhead, // strangers, log-ins and signed URLs
    ...(admitHost ? [charged(({ request }) => admitHost(request))] : []),
    charged(identify), // the tenant and the caller
    charged(authorise), // the route's one permission
    chargeCaller, // the tenant's, account's and host's buckets; the quota
    applyHostRules, // frames, and the size of the body
    waitForTurn, // while others of the tenant run
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
 * The Fastify hook that begins a request and runs its steps. If the client disconnects, no further
 * step runs.
 *
 * @param refusal renders what a step throws
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
