import type { Platform } from "../../kernel/feature/platform.ts";
import { isOfAccount } from "../../kernel/identity/authority.ts";
import { refuseTenantToken, type SessionCredential } from "../../kernel/identity/credential.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import type { SessionProof } from "../../kernel/identity/sessions.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { tenantInactive, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { findAccountOfUser, findMembership } from "./accounts.queries.ts";
import {
  findAccountSubject,
  findUserSubject,
  mayEnter,
  mayEnterBy,
  type SignedInReply,
  signIn,
} from "./sign-in.ts";
import type { AccountSubject, SignInContext, UserSubject } from "./sign-in-subject.ts";

export const noAccount = defineError(
  "no_account",
  403,
  "This user has no account and cannot switch tenants",
);

export const emailNotVerified = defineError(
  "email_not_verified",
  403,
  "This tenant requires a verified e-mail address. Verify yours first.",
);

export const passwordLoginOff = defineError(
  "password_login_off",
  403,
  "This tenant does not accept passwords. Sign in through its identity provider or with a passkey.",
);

/**
 * Opens a session of its own for the same account in another tenant, or at the platform.
 *
 * @param reference the tenant's id, key, slug or number; null: the platform
 * @param options.invited they have just accepted an invitation there, which any tenant accepts as
 * proof
 * @throws noAccount, tenantInactive, emailNotVerified, passwordLoginOff, secondFactorRequired,
 *   tenantTokenRefused; tenantNotFound if the tenant does not exist or the account is not a member
 */
export async function switchTo(
  context: SignInContext,
  principal: Principal,
  credential: SessionCredential,
  reference: string | null,
  { invited = false }: { readonly invited?: boolean } = {},
): Promise<SignedInReply> {
  const { platform } = context;
  refuseTenantToken(credential);
  const from = await accountOf(platform, principal);
  // Check the database: this node may not know yet that the old session ended, and the new one
  // would outlive it.
  const proof = await platform.sessions.findProof(credential.sessionId);
  if (!proof || !isOfAccount(principal.epoch, from.epoch)) throw invalidToken();
  if (reference === null) return signIn(context, from, proof);
  return signIn(context, await findEntrant(platform, from, proof, reference, { invited }), proof);
}

/**
 * The account's user in a tenant, if the account may enter it now. Reads the database, not this node's
 * caches. What `passGate` asks for is not among it.
 *
 * @throws tenantInactive, emailNotVerified, passwordLoginOff, invalidToken if the account's sessions have
 *   been ended; tenantNotFound if the tenant does not exist or the account is not a member
 */
export async function findEntrant(
  platform: Platform,
  { account, epoch }: AccountSubject,
  { amr }: SessionProof,
  reference: string,
  { invited = false }: { readonly invited?: boolean } = {},
): Promise<UserSubject> {
  const tenant = await platform.tenants.find(reference);
  const membership = tenant && (await findMembership(platform.control, account.id, tenant.id));
  if (!membership) throw tenantNotFound();
  if (tenant.status !== "active") throw tenantInactive();
  const subject = await findUserSubject(platform, tenant, membership.user_id);
  if (!subject) throw tenantNotFound();
  if (!isOfAccount(subject.epoch, epoch)) throw invalidToken();
  if (!mayEnter(platform, subject, account)) throw emailNotVerified();
  if (!invited && !mayEnterBy(amr, subject)) throw passwordLoginOff();
  return subject;
}

/**
 * The caller's account. A user linked to an account has no password of their own (a constraint on
 * `users`), so they can only have logged in with the account's.
 *
 * @throws noAccount, invalidToken if the account is inactive
 */
export async function accountOf(platform: Platform, principal: Principal) {
  const linked =
    principal.kind === "tenant"
      ? await findAccountOfUser(platform.control, principal.tenantId, principal.id)
      : principal;
  if (!linked) throw noAccount();
  const subject = await findAccountSubject(platform, linked.id);
  if (!subject) throw invalidToken();
  return subject;
}
