/**
 * What the server knows of one request beside what Fastify knows. It is made when the request comes
 * in and hangs on Fastify's request, so that no later step looks anything up.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { TenantDatabase } from "../../data/tenant-database.ts";
import type { ErrorShape, Route } from "../../feature/feature.ts";
import type { Platform } from "../../feature/platform.ts";
import { type Credential, impersonatorOf } from "../../identity/credential.ts";
import type { Identity } from "../../identity/identity.ts";
import type { ClientAddress } from "../../lib/client-address.ts";
import type { AccountId, TenantId } from "../../lib/ids.ts";
import type { MaybePromise } from "../../lib/maybe-promise.ts";
import { type Logger, ownedLog } from "../../telemetry/log.ts";
import type { TraceSpan } from "../../telemetry/tracing.ts";

/**
 * Who calls, for which tenant, and what they work with. `db` and `platform` may be getters: only handlers that use
 * them ask for them, and a route whose context is `tenant` never asks for `platform`.
 */
export interface Caller extends Identity {
  readonly db: TenantDatabase<Record<never, never>> | undefined;
  readonly platform: Platform;
}

/**
 * Finds out who calls. Whether they may use the route is for `Authorise` to say.
 *
 * Return the value itself, not a promise, where nothing has to be waited for: each promise costs a turn of the
 * microtask queue. @throws AppError if the request is refused.
 */
export type Identify = (request: FastifyRequest, route: Route) => MaybePromise<Caller>;

/** Who is charged: a tenant for its users, or an account outside tenants. */
export type Payer =
  | { readonly tenantId: TenantId; readonly accountId?: undefined }
  | { readonly tenantId?: undefined; readonly accountId: AccountId };

/** The parts of a request that are known when it begins. */
interface Beginning {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly path: string | undefined;
  readonly client: ClientAddress;
  readonly span: TraceSpan | undefined;
}

export class RequestState {
  /** By `performance.now()`. */
  readonly startedAt = performance.now();
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** The route's pattern, `/api/v1/contacts/:id`; undefined where there is no route. */
  readonly path: string | undefined;
  /** Where it comes from, as far as proxies are trusted. */
  readonly client: ClientAddress;
  /** Where traces are collected. */
  readonly span: TraceSpan | undefined;
  /** Once `identify` has found out. */
  caller: Caller | undefined = undefined;
  /** Who was charged for its credentials when they were last good. */
  payer: Payer | undefined = undefined;
  /** The client was charged before anybody was looked up, so that a refusal costs nothing more. */
  isPaidAhead = false;
  log: Logger | undefined = undefined;
  /** The handler has written an entry of the audit log itself. */
  audited = false;
  /** A hook refused it: hooks run for all routes, and declare no errors. */
  refusedByHook = false;
  /** How errors look where there is no route; a route has its own. */
  errorShape: ErrorShape | undefined = undefined;
  #onClose: (() => void) | undefined = undefined;

  constructor({ request, reply, path, client, span }: Beginning) {
    this.request = request;
    this.reply = reply;
    this.path = path;
    this.client = client;
    this.span = span;
  }

  /** Nobody waits for the answer any more. */
  get isGone(): boolean {
    return this.reply.raw.destroyed;
  }

  /** Has `work` done when the answer has left or the client has gone, after what was given before. */
  onClose(work: () => void): void {
    const before = this.#onClose;
    this.#onClose = before
      ? () => {
          before();
          work();
        }
      : work;
  }

  /** Called once, by the one listener for the answer's end. */
  close(): void {
    this.#onClose?.();
  }
}

type WithState = { state: RequestState | null };

/** The name of the decorator under which the state hangs. */
export const stateKey = "state";

export function setState(request: FastifyRequest, state: RequestState): void {
  (request as FastifyRequest & WithState).state = state; // declared by decorateRequest(stateKey)
}

export function findState(request: FastifyRequest): RequestState | null {
  return (request as FastifyRequest & WithState).state; // as above
}

/** Who acts in the user's stead, for the log: a machine, or a platform administrator. */
export function standIn(credential: Credential | undefined) {
  if (credential?.kind === "api_key") return { api_key_id: credential.keyId };
  if (credential?.kind === "certificate") return { certificate_id: credential.certificateId };
  const impersonator = impersonatorOf(credential);
  return impersonator === undefined ? undefined : { impersonator_id: impersonator };
}

/** The logger whose lines carry the request's id, tenant and user; made when it is first used. */
export function requestLog(request: FastifyRequest, root: Logger): Logger {
  const state = findState(request);
  if (state?.log) return state.log;
  const tenantId = state?.caller?.tenant?.id;
  const bindings = {
    request_id: request.id,
    tenant_id: tenantId,
    user_id: state?.caller?.user?.id,
    ...standIn(state?.caller?.credential),
    ...(state?.span && { trace_id: state.span.traceId }),
  };
  const log = ownedLog(root, bindings, tenantId);
  // A line that is written before the tenant is known must not fix the later ones.
  if (state?.caller) state.log = log;
  return log;
}
