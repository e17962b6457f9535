import { requestSource } from "../http/request-audit.ts";
import type { Logger } from "../telemetry/log.ts";
import type { CrossTenantAttempt } from "../tenancy/resolution.ts";
import type { WriteAudit } from "./audit.ts";

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
      actor: { kind: "user", id: user },
      ...(request && requestSource(request)),
    } as const;
    const target = { type: "tenant", id: requestTenant?.id ?? named };
    // The refusal doesn't wait; entries of refusals fail to the log.
    void audit({ ...entry, target, detail });
    if (userTenant) void audit({ ...entry, target, tenant: userTenant });
    if (requestTenant) void audit({ ...entry, tenant: requestTenant });
  };
}
