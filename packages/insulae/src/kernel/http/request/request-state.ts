/**
 * What the server knows of one request beside what Fastify knows. It is made when the request comes
 * in and hangs on Fastify's request, so that nothing has to be looked up by the way.
 */
import type { FastifyRequest } from "fastify";
import type { TenantDatabase } from "../../data/tenant-database.ts";
import type { ErrorShape, Route } from "../../feature/feature.ts";
import type { Platform } from "../../feature/platform.ts";
import { type Credential, impersonatorOf } from "../../identity/credential.ts";
import type { Principal } from "../../identity/principal.ts";
import type { ClientAddress } from "../../lib/client-address.ts";
import { type Logger, ownedLog } from "../../telemetry/log.ts";
import type { TraceSpan } from "../../telemetry/tracing.ts";
import type { Tenant } from "../../tenancy/tenant.ts";

/**
 * For whom a request is: what `resolve` finds out before the body is read. `db` and `platform` may
 * be getters: they are asked for only by handlers that use them, and `platform` never by a route
 * whose context is `tenant`.
 */
export interface ResolvedRequest {
  readonly tenant: Tenant | undefined;
  readonly user: Principal | undefined;
  /** How the user proved who they are. */
  readonly credential: Credential | undefined;
  /** A stranger named a tenant that there is not; see `unknownTenant` of a route. */
  readonly isUnknownTenant?: boolean;
  readonly db: TenantDatabase<Record<never, never>> | undefined;
  readonly platform: Platform;
}

/**
 * Finds out for whom a request is, and whether its route is permitted to them.
 *
 * Return the value itself, not a promise, where nothing has to be waited for: each promise on the
 * way costs a turn of the event loop. @throws AppError if the request is refused.
 */
export type Resolve = (
  request: FastifyRequest,
  route: Route,
) => ResolvedRequest | Promise<ResolvedRequest>;

export interface RequestState {
  readonly startedAt: number;
  /** The route's pattern, `/api/v1/contacts/:id`; undefined where there is no route. */
  readonly path: string | undefined;
  /** Where it comes from, as far as proxies are trusted. */
  readonly client: ClientAddress;
  /** Where traces are collected. */
  readonly span: TraceSpan | undefined;
  resolved: ResolvedRequest | undefined;
  log: Logger | undefined;
  /** The handler has written an entry of the audit log itself. */
  audited: boolean;
  /** A hook refused it: hooks run for all routes, and declare no errors. */
  refusedByHook: boolean;
  /** How errors look where there is no route; a route has its own. */
  errorShape: ErrorShape | undefined;
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
  const tenantId = state?.resolved?.tenant?.id;
  const bindings = {
    request_id: request.id,
    tenant_id: tenantId,
    user_id: state?.resolved?.user?.id,
    ...standIn(state?.resolved?.credential),
    ...(state?.span && { trace_id: state.span.traceId }),
  };
  const log = ownedLog(root, bindings, tenantId);
  // A line that is written before the tenant is known must not fix the later ones.
  if (state?.resolved) state.log = log;
  return log;
}
