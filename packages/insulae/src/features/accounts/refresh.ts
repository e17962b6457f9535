import type { TenantAudit } from "../../kernel/audit/audit.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { Credential } from "../../kernel/identity/credential.ts";
import { authenticationRequired, invalidToken } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import type { RefreshableSession } from "../../kernel/identity/sessions.ts";
import { idOf } from "../../kernel/identity/subject.ts";
import { tenantAccessDenied, tenantInactive } from "../../kernel/tenancy/errors.ts";
import type { AccountId, Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
import { isMoreAsked } from "./second-factor.ts";
import {
  clientOf,
  findAccountSubject,
  findSubject,
  findUserSubject,
  replyFor,
  type SignedInReply,
} from "./sign-in.ts";
import type { SignInContext } from "./sign-in-subject.ts";

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
  setting: Setting,
  selected: Tenant | undefined,
  refreshToken: string,
): Promise<SignedInReply> {
  const { platform, request, audit } = setting;
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
  return replyFor(setting, subject, rotated);
}

/**
 * The same for a client that shows nothing but its access token, which still counts. The refresh token
 * that its session had is replaced: should it be shown after all, the session ends.
 *
 * @throws authenticationRequired, invalidToken: without a token of the person's own (a machine's, a
 *   cookie's, an administrator's who acts as them)
 */
export async function refreshByAccessToken(
  setting: Setting,
  user: Principal | undefined,
  credential: Credential | undefined,
): Promise<SignedInReply> {
  const { platform, request, audit } = setting;
  if (!user || !credential) throw authenticationRequired();
  if (credential.kind !== "token" || credential.impersonator !== undefined) throw invalidToken();
  const { sessionId } = credential;
  const [subject, proof] = await Promise.all([
    findSubject(platform, idOf(user)),
    platform.sessions.findProof(sessionId),
  ]);
  if (!proof) throw invalidToken();
  if (subject?.epoch !== user.epoch || (await isMoreAsked(platform, subject, proof.amr))) {
    await platform.sessions.end(sessionId);
    await audit({
      action: "auth.refresh_refused",
      outcome: "refused",
      target: { type: "session", id: sessionId },
    });
    throw invalidToken();
  }
  const renewed = await platform.sessions.renew(sessionId, clientOf(request));
  if (!renewed) throw invalidToken();
  return replyFor(setting, subject, renewed);
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
