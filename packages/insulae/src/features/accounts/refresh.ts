import type { TenantAudit } from "../../kernel/audit/audit.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { type Credential, refuseTenantToken } from "../../kernel/identity/credential.ts";
import { authenticationRequired, invalidToken } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import type { RefreshableSession } from "../../kernel/identity/sessions.ts";
import { idOf } from "../../kernel/identity/subject.ts";
import type { AccountId, UserId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { tenantAccessDenied, tenantInactive } from "../../kernel/tenancy/errors.ts";
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

interface RefreshDeps extends SignInContext {
  readonly audit: TenantAudit;
}

/**
 * Refreshes a session: issues new tokens for the refresh token presented.
 *
 * Reads from the database, not from this node's caches, whether the subject may continue (exists,
 * active, still a member, not logged out everywhere) and whether a second factor has become
 * mandatory. If not, the session ends; only a suspended tenant leaves it open for later.
 *
 * @param selected the tenant that the request's host or header names
 * @throws invalidToken, tenantInactive, tenantAccessDenied
 */
export async function refresh(
  deps: RefreshDeps,
  selected: Tenant | undefined,
  refreshToken: string,
): Promise<SignedInReply> {
  const { platform, request, audit } = deps;
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
  return replyFor(deps, subject, rotated);
}

/**
 * The same for a client that presents only its still valid access token. The session's previous
 * refresh token is superseded; if somebody presents it afterwards, the session ends.
 *
 * @throws authenticationRequired, invalidToken if the token is not a person's own: an API key or
 *   certificate, a cookie, or an impersonation; tenantTokenRefused
 */
export async function refreshByAccessToken(
  deps: RefreshDeps,
  user: Principal | undefined,
  credential: Credential | undefined,
): Promise<SignedInReply> {
  const { platform, request, audit } = deps;
  if (!user || !credential) throw authenticationRequired();
  if (credential.kind !== "token" || credential.impersonator !== undefined) throw invalidToken();
  refuseTenantToken(credential);
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
  return replyFor(deps, subject, renewed);
}

function subjectOf(
  platform: Platform,
  { tenantId, subjectId }: RefreshableSession,
  tenant: Tenant | undefined,
) {
  // The session table holds both kinds of subjects; a tenant id means a user.
  if (tenantId === undefined) return findAccountSubject(platform, subjectId as AccountId);
  return tenant && findUserSubject(platform, tenant, subjectId as UserId);
}
