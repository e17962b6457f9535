/**
 * What a feature does beside its routes: when the app starts and stops, before the handlers of all
 * routes, and after their answers.
 *
 *   resolve · authorise · limit ─► onRequest ─► body · validate · handle ─► answer ─► onResponse
 *
 * For whom a request is has been settled by then, and a hook can't unsettle it: it gets what a
 * tenant's handler gets, of the same tenant and no other. It lets the request go on, or answers in the
 * handler's place by throwing an error. What it finds out it keeps to itself: handlers have their own
 * context, whose types say what is in it. Without hooks nothing of this is on a request's way.
 */

import type { Cache } from "../cache/cache.ts";
import type { TenantDatabase } from "../data/tenant-database.ts";
import type { Principal } from "../identity/principal.ts";
import type { MaybePromise } from "../lib/maybe-promise.ts";
import type { Tenant } from "../model/tenant.ts";
import { canonicalHost } from "../net/hostname.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { AppServices } from "./platform.ts";
import type { RequestInfo } from "./request-info.ts";
import type { HttpMethod } from "./route.ts";

/** The app, to those who start and stop with it. */
export interface AppScope extends AppServices {
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** A request, to those who look at all of them. */
interface SeenRequest {
  /** Which route: `{ method: "GET", path: "/api/v1/contacts/:id" }`. */
  readonly route: { readonly method: HttpMethod; readonly path: string };
  readonly request: RequestInfo;
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** A request that is let in, before its body is read. */
export interface HookedRequest<Tables> extends SeenRequest {
  /** Bound to the tenant; undefined where there is none. */
  readonly db: TenantDatabase<Tables> | undefined;
  readonly cache: Cache | undefined;
  /** Sets a header of the answer. */
  readonly header: (name: string, value: string) => void;
}

/** A request that was let in, and its answer. */
export interface AnsweredRequest extends SeenRequest {
  readonly response: { readonly status: number; readonly milliseconds: number };
}

export interface Hooks<Tables> {
  /** Runs on every node, before it listens and after the migrations. If it throws, there is no app. */
  readonly onStart?: (app: AppScope) => void | Promise<void>;
  /** Runs when the last request has been answered, while there is a database. */
  readonly onStop?: (app: AppScope) => void | Promise<void>;
  /**
   * Runs for each request that is let in, whichever feature's its route is. What it throws is the
   * answer. `/health`, `/metrics` and the API reference are not asked about.
   */
  readonly onRequest?: (context: HookedRequest<Tables>) => void | Promise<void>;
  /** Runs when the answer to a request that was let in has left. What takes long is a job's to do. */
  readonly onResponse?: (context: AnsweredRequest) => void;
}

/**
 * A hook for some hosts only.
 *
 * @example
 * feature("back-office", { onRequest: atHosts(["admin.example.com"], ({ user }) => { … }) });
 */
export function atHosts<Context extends SeenRequest>(
  hostnames: readonly string[],
  hook: (context: Context) => void | Promise<void>,
): (context: Context) => void | Promise<void> {
  const names = new Set(hostnames.map((name) => canonicalHost(name)));
  return (context) => (names.has(canonicalHost(context.request.host)) ? hook(context) : undefined);
}

/** The hooks among a feature's options; its tables were checked where they were declared. */
export function pickHooks<Tables>(options: Hooks<Tables>): Hooks<never> {
  const { onStart, onStop, onRequest, onResponse } = options;
  const hooks = Object.entries({ onStart, onStop, onRequest, onResponse });
  return Object.fromEntries(hooks.filter(([, hook]) => hook !== undefined)) as Hooks<never>;
}

interface StartedFeature {
  readonly name: string;
  readonly hooks: Hooks<never>;
}

/**
 * Starts the features, in their order.
 *
 * @returns what stops them, in the reverse order; one that fails to stop does not keep the others.
 * @throws what one of them throws, when those before it have been stopped
 */
export async function startFeatures(
  features: readonly StartedFeature[],
  app: AppScope,
): Promise<() => Promise<void>> {
  const started: StartedFeature[] = [];
  const stop = async (): Promise<void> => {
    for (const { name, hooks } of started.toReversed()) {
      try {
        await hooks.onStop?.(app);
      } catch (error) {
        app.log.error({ err: error, feature: name }, "A feature did not stop well");
      }
    }
  };
  try {
    for (const feature of features) {
      started.push(feature);
      await feature.hooks.onStart?.(app);
    }
  } catch (error) {
    app.log.error({ err: error, feature: started.pop()?.name }, "A feature did not start");
    await stop();
    throw error;
  }
  return stop;
}

/** Runs one after another, waiting only for those that have to be waited for. */
export function inTurn<Context>(
  hooks: readonly ((context: Context) => void | Promise<void>)[],
  context: Context,
): MaybePromise<void> {
  for (const [index, hook] of hooks.entries()) {
    const waiting = hook(context);
    if (waiting) return waiting.then(() => inTurn(hooks.slice(index + 1), context));
  }
}
