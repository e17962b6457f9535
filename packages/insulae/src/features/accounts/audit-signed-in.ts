import type { AuditAction, TenantAudit } from "../../kernel/audit/audit.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { SignedInReply } from "./sign-in.ts";

/** Audits a sign-in other than a log-in, in the log of the tenant (or platform) signed in to. */
export const auditSignedIn = (
  audit: TenantAudit,
  action: AuditAction,
  { user }: Pick<SignedInReply, "user">,
  tenant: Tenant | undefined,
): Promise<void> =>
  audit({
    action,
    tenant: tenant ?? null,
    actor: { kind: tenant ? "user" : "account", id: user.id, name: user.email },
  });
