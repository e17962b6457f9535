import { requestSource } from "../http/request-audit.ts";
import type { Logger } from "../telemetry/log.ts";
import type { CrossTenantAttempt } from "../tenancy/resolution.ts";
import type { AuditActor, WriteAudit } from "./audit.ts";

const machine = "certificate:";

const actorOf = (user: string): AuditActor =>
  user.startsWith(machine)
    ? { kind: "certificate", id: user.slice(machine.length) }
    : { kind: "user", id: user };

/**
 * Notes that somebody with a credential of one tenant asked for another: in the platform's log, in that
 * of the user's own tenant, and in that of the tenant that was asked for, which is told neither who
 * the user is (beyond an opaque id) nor whose.
 */
export function auditCrossTenant(audit: WriteAudit, log: Logger) {
  return ({ user, userTenant, requestTenant, named, request }: CrossTenantAttempt): void => {
    const detail = { user, user_tenant: userTenant?.key, request_tenant: named };
    log.warn(detail, "Cross-tenant access attempt");
    const entry = {
      action: "auth.cross_tenant_refused",
      outcome: "refused",
      actor: actorOf(user),
      ...(request && requestSource(request)),
    } as const;
    const target = { type: "tenant", id: requestTenant?.id ?? named };
    // The refusal doesn't wait; entries of refusals fail to the log.
    void audit({ ...entry, target, detail });
    if (userTenant) void audit({ ...entry, target, tenant: userTenant });
    if (requestTenant) void audit({ ...entry, tenant: requestTenant });
  };
}
