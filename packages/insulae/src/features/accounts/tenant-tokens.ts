/**
 * Tenant tokens: access tokens for one tenant that depend on a session at the platform. A browser with one
 * cookie can so show several tenants at once, each in a tab that keeps its token in memory.
 *
 *   core session (cookie or token) ── POST /auth/tenant-tokens ──► token for acme    sid: the core session
 *                                  └─ POST /auth/tenant-tokens ──► token for globex  sid: the core session
 *
 * There is no other session: `sid` is the core session's, so whatever ends that one ends the tokens, on every
 * node. What ends a user's sessions in the tenant (a demotion, a new epoch, a second factor that becomes
 * mandatory) counts as for any token. Whoever holds one can't open a session with it (`refuseTenantToken`).
 */

import type { Platform } from "../../kernel/feature/platform.ts";
import { isOfAccount } from "../../kernel/identity/authority.ts";
import type { SessionCredential } from "../../kernel/identity/credential.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import type { CorePrincipal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { isMoreAsked, ownerOf } from "./second-factor.ts";
import { summaryOf } from "./sign-in.ts";
import { accountOf, findEntrant } from "./switch.ts";

export const secondFactorNeeded = defineError(
  "second_factor_needed",
  403,
  "This session has not proved the second factor that is required. Call POST /api/v1/auth/reauthenticate, or set up a factor first if `enrolment` is true, then retry.",
);

/**
 * @param reference the tenant's id, key, slug or number
 * @throws as `switchTo`, but secondFactorNeeded instead of secondFactorRequired: proving the factor in the
 *   core session keeps that session, and with it the tokens of other tabs
 */
export async function issueTenantToken(
  platform: Platform,
  principal: CorePrincipal,
  { sessionId }: SessionCredential,
  reference: string,
) {
  const { sessions, tokens, authority, factors } = platform;
  const from = await accountOf(platform, principal);
  // Check the database: this node may not know yet that the session has ended.
  const proof = await sessions.findProof(sessionId);
  if (!proof || !isOfAccount(principal.epoch, from.epoch)) throw invalidToken();
  const subject = await findEntrant(platform, from, proof, reference);
  const { amr, expiresAt } = proof;
  if (await isMoreAsked(platform, subject, amr)) {
    const enrolment = (await factors.list(ownerOf(subject))).length === 0;
    throw secondFactorNeeded({ members: { enrolment } });
  }
  const { tenant, user, epoch } = subject;
  const current = await authority.findUser(tenant, user.id);
  if (!current) throw invalidToken();
  const { role, permissions } = current;
  const access_token = await tokens.sign(
    { userId: user.id, tenantId: tenant.id, role, permissions },
    { id: sessionId, epoch, expiresAt, amr, isAtPlatform: true },
  );
  const sessionSeconds = Math.floor((expiresAt.getTime() - Date.now()) / 1000);
  const reply = {
    access_token,
    token_type: "Bearer" as const,
    expires_in: Math.min(tokens.accessTtlSeconds, sessionSeconds),
    tenant: summaryOf(tenant),
    permissions: [...permissions].sort(),
  };
  return { reply, subject };
}
