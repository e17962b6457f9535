/**
 * The server's own state of a request. It is created when the request arrives and stored on
 * Fastify's request object, so that no later step looks anything up.
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
 * The resolved request: its tenant, principal and credential, and what handlers work with. `db` and
 * `platform` may be getters: they are read only when used, and `platform` never by a route whose
 * context is `tenant`.
 */
export interface Caller extends Identity {
  readonly db: TenantDatabase<Record<never, never>> | undefined;
  readonly platform: Platform;
}

/**
 * Resolves a request to its caller; `Authorise` decides whether they may use the route.
 *
 * Returns a value, not a promise, if nothing has to be awaited: each promise costs a microtask
 * turn.
 * @throws AppError if the request is refused
 */
export type Identify = (request: FastifyRequest, route: Route) => MaybePromise<Caller>;

/** Who is charged: a tenant for its users, or an account outside tenants. */
export type Payer =
  | { readonly tenantId: TenantId; readonly accountId?: undefined }
  | { readonly tenantId?: undefined; readonly accountId: AccountId };

/** What is known when a request begins. */
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
  /** The route's pattern, `/api/v1/contacts/:id`; undefined without a route. */
  readonly path: string | undefined;
  /** The client's address, as far as proxies are trusted. */
  readonly client: ClientAddress;
  /** Only if traces are collected. */
  readonly span: TraceSpan | undefined;
  /** Set by `identify`. */
  caller: Caller | undefined = undefined;
  /** Who was charged for its credentials when they were last valid. */
  payer: Payer | undefined = undefined;
  /** The client was charged before any look-up, so a refusal is not charged again. */
  isPaidAhead = false;
  log: Logger | undefined = undefined;
  /** The handler has written an audit entry itself. */
  audited = false;
  /** A hook refused it. Hooks run for all routes, whose declared errors don't include theirs. */
  refusedByHook = false;
  /** The error format where there is no route; routes have their own. */
  errorShape: ErrorShape | undefined = undefined;
  #onClose: (() => void) | undefined = undefined;

  constructor({ request, reply, path, client, span }: Beginning) {
    this.request = request;
    this.reply = reply;
    this.path = path;
    this.client = client;
    this.span = span;
  }

  /** The client has disconnected, or has its response. */
  get isGone(): boolean {
    return this.reply.raw.destroyed;
  }

  /**
   * Calls `work` when the response was sent or the client disconnected, in the order of
   * registration.
   */
  onClose(work: () => void): void {
    const before = this.#onClose;
    this.#onClose = before
      ? () => {
          before();
          work();
        }
      : work;
  }

  /** Called once, by the one listener for the response's end. */
  close(): void {
    this.#onClose?.();
  }
}

type WithState = { state: RequestState | null };

/** The decorator that holds the state. */
export const stateKey = "state";

export function setState(request: FastifyRequest, state: RequestState): void {
  (request as FastifyRequest & WithState).state = state; // declared by decorateRequest(stateKey)
}

export function findState(request: FastifyRequest): RequestState | null {
  return (request as FastifyRequest & WithState).state; // as above
}

/** Who acts for the user, for the log: a machine, or an impersonating administrator. */
export function standIn(credential: Credential | undefined) {
  if (credential?.kind === "api_key") return { api_key_id: credential.keyId };
  if (credential?.kind === "certificate") return { certificate_id: credential.certificateId };
  const impersonator = impersonatorOf(credential);
  return impersonator === undefined ? undefined : { impersonator_id: impersonator };
}

/** The logger whose lines carry the request's id, tenant and user; created on first use. */
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
  // Keep the logger only once the caller is known, or later lines would lack the tenant.
  if (state?.caller) state.log = log;
  return log;
}
