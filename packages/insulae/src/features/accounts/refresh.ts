import type { TenantAudit } from "../../kernel/audit/audit.ts";
import { invalidToken } from "../../kernel/auth/errors.ts";
import type { RefreshableSession } from "../../kernel/auth/sessions.ts";
import type { Platform } from "../../kernel/platform.ts";
import { tenantAccessDenied, tenantInactive } from "../../kernel/tenancy/errors.ts";
import type { AccountId, Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
import { isMoreAsked } from "./second-factor.ts";
import {
  clientOf,
  findAccountSubject,
  findUserSubject,
  replyFor,
  type SignedInReply,
  type SignInContext,
} from "./sign-in.ts";

interface Setting extends SignInContext {
  readonly audit: TenantAudit;
}

/**
 * Goes on with a session: new tokens for the one that is shown. Whether its subject may (still there,
 * active, a member, not logged out everywhere) is read from the database, not from what this node
 * remembers; and so is whether a second factor is asked for by now that they have not proved. A session
 * that is refused for that is over; one of a suspended tenant waits for it.
 *
 * @param selected the tenant that the request's host or header names
 * @throws invalidToken, tenantInactive, tenantAccessDenied
 */
export async function refresh(
  { platform, request, audit }: Setting,
  selected: Tenant | undefined,
  refreshToken: string,
): Promise<SignedInReply> {
  const { sessions } = platform;
  const session = await sessions.findByRefreshToken(refreshToken);
  if (!session) throw invalidToken();
  const { sessionId } = session.token;
  const tenant =
    session.tenantId === undefined ? undefined : await platform.tenants.find(session.tenantId);
  const event = {
    outcome: "refused",
    tenant: tenant ?? null,
    target: { type: "session", id: sessionId },
    actor: { kind: tenant ? "user" : "account", id: session.subjectId },
  } as const;
  if (tenant && selected && selected.id !== tenant.id) {
    const detail = { request_tenant: selected.key };
    await audit({ ...event, action: "auth.cross_tenant_refused", detail });
    throw tenantAccessDenied();
  }
  if (session.tenantStatus === "suspended") throw tenantInactive();
  const subject = await subjectOf(platform, session, tenant);
  if (subject?.epoch !== session.epoch || (await isMoreAsked(platform, subject, session.amr))) {
    await sessions.end(sessionId);
    await audit({ ...event, action: "auth.refresh_refused" });
    throw invalidToken();
  }
  const rotated = await sessions.rotate(session, clientOf(request));
  if (rotated === "reused") await audit({ ...event, action: "auth.refresh_reused" });
  if (rotated === "reused" || rotated === undefined) throw invalidToken();
  return replyFor(platform, subject, rotated);
}

function subjectOf(
  platform: Platform,
  { tenantId, subjectId }: RefreshableSession,
  tenant: Tenant | undefined,
) {
  // The table has two kinds of subjects, and the tenant tells which.
  if (tenantId === undefined) return findAccountSubject(platform, subjectId as AccountId);
  return tenant && findUserSubject(platform, tenant, subjectId as UserId);
}
