import type { FastifyRequest } from "fastify";
import type { AuditActor, AuditEntry, TenantAudit } from "../../audit/audit.ts";
import type { RouteContext } from "../../feature/feature.ts";
import { type Credential, impersonatorOf } from "../../identity/credential.ts";
import type { Principal } from "../../identity/principal.ts";
import { Json } from "../../lib/json.ts";
import { type Caller, findState } from "../state/request-state.ts";

/** Where a request came from. */
export const requestSource = (
  request: FastifyRequest,
): Pick<AuditEntry, "ip" | "userAgent" | "requestId"> => ({
  ip: findState(request)?.client.address,
  userAgent: request.headers["user-agent"],
  requestId: request.id,
});

/** What a request contributes to an entry: who, and from where. */
function requestOrigin(
  request: FastifyRequest,
  { user, credential }: Pick<Caller, "user" | "credential">,
): Pick<AuditEntry, "actor" | "impersonator" | "ip" | "userAgent" | "requestId"> {
  return {
    actor: actorOf(user, credential),
    impersonator: impersonatorOf(credential),
    ...requestSource(request),
  };
}

/** The handler's `audit`. */
export function requestAudit(
  request: FastifyRequest,
  caller: Caller,
  context: RouteContext,
): TenantAudit {
  const { tenant: known, platform } = caller;
  return ({ tenant = context === "core" ? null : known, ...event }, tx) => {
    // The types prevent this; check at run time too.
    if (context === "tenant" && tenant?.id !== known?.id) {
      throw new Error("a tenant's handler writes its own tenant's audit log");
    }
    const state = findState(request);
    if (state) state.audited = true;
    const { actor = undefined, ...origin } = requestOrigin(request, caller);
    return platform.audit(
      { ...origin, ...event, actor: event.actor ?? actor, tenant: tenant ?? undefined },
      tx,
    );
  };
}

/**
 * The target of a route's entry: for `invoice.sent` an invoice, with the id in the path or the
 * response.
 */
export function targetOf(action: string, params: unknown, answer: unknown) {
  const id = idOf(params) ?? idOf(answer instanceof Json ? answer.toJSON() : answer);
  return id === undefined ? undefined : { type: action.slice(0, action.indexOf(".")), id };
}

function idOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("id" in value)) return undefined;
  return typeof value.id === "string" ? value.id : undefined;
}

function actorOf(user: Principal | undefined, credential: Credential | undefined): AuditActor {
  if (!user) return { kind: "anonymous" };
  if (credential?.kind === "api_key") {
    return { kind: "api_key", id: credential.keyId, name: user.email };
  }
  if (credential?.kind === "certificate") {
    return { kind: "certificate", id: credential.certificateId, name: user.email };
  }
  return { kind: user.kind === "tenant" ? "user" : "account", id: user.id, name: user.email };
}
