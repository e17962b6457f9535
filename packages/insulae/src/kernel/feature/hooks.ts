/**
 * What a feature does besides its routes: when the app starts and stops, before all routes'
 * handlers, and after their responses.
 *
 *   resolve · authorise · limit ─► onRequest ─► body · validate · handle ─► response ─► onResponse
 *
 * The request is authorised by then, and a hook can't change that: it gets a tenant handler's
 * context, for the same tenant. It either lets the request continue, or throws an error as the
 * response. It can't add to the handlers' context, whose types are fixed. Without hooks, this costs
 * nothing.
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

/** The app, as passed to `onStart` and `onStop`. */
export interface AppScope extends AppServices {
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** A request, as all hooks see it. */
interface SeenRequest {
  /** The route: `{ method: "GET", path: "/api/v1/contacts/:id" }`. */
  readonly route: { readonly method: HttpMethod; readonly path: string };
  readonly request: RequestInfo;
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** An admitted request, before its body is read. */
export interface HookedRequest<Tables> extends SeenRequest {
  /** Bound to the tenant; undefined without one. */
  readonly db: TenantDatabase<Tables> | undefined;
  readonly cache: Cache | undefined;
  /** Sets a response header. */
  readonly header: (name: string, value: string) => void;
}

/** An admitted request that has been answered. */
export interface AnsweredRequest extends SeenRequest {
  readonly response: { readonly status: number; readonly milliseconds: number };
}

export interface Hooks<Tables> {
  /**
   * Runs on every node after the migrations and before it listens. If it throws, the app does not
   * start.
   */
  readonly onStart?: (app: AppScope) => void | Promise<void>;
  /** Runs after the last response, while the database is still connected. */
  readonly onStop?: (app: AppScope) => void | Promise<void>;
  /**
   * Runs for each admitted request, whichever feature its route belongs to. A thrown error is the
   * response. Not called for `/health`, `/metrics` and the API reference.
   */
  readonly onRequest?: (context: HookedRequest<Tables>) => void | Promise<void>;
  /** Runs after the response to an admitted request was sent. Use a job for longer work. */
  readonly onResponse?: (context: AnsweredRequest) => void;
}

/**
 * Restricts a hook to some hosts.
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

/** A feature's hooks; its tables were checked where they were declared. */
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
 * Starts the features in order.
 *
 * @returns a function that stops them in reverse order, continuing if one fails
 * @throws the error of a feature that fails to start, after stopping those before it
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
        app.log.error({ err: error, feature: name }, "A feature failed to stop");
      }
    }
  };
  try {
    for (const feature of features) {
      started.push(feature);
      await feature.hooks.onStart?.(app);
    }
  } catch (error) {
    app.log.error({ err: error, feature: started.pop()?.name }, "A feature failed to start");
    await stop();
    throw error;
  }
  return stop;
}

/** Runs the functions one after another, awaiting only those that return promises. */
export function inTurn<Context>(
  hooks: readonly ((context: Context) => void | Promise<void>)[],
  context: Context,
): MaybePromise<void> {
  for (const [index, hook] of hooks.entries()) {
    const waiting = hook(context);
    if (waiting) return waiting.then(() => inTurn(hooks.slice(index + 1), context));
  }
}
