import type { Platform } from "../../kernel/feature/platform.ts";
import { isOfAccount } from "../../kernel/identity/authority.ts";
import type { SessionCredential } from "../../kernel/identity/credential.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
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
import type { SignInContext } from "./sign-in-subject.ts";

export const noAccount = defineError(
  "no_account",
  403,
  "This user belongs to one tenant and has no account to switch with",
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
 * From one context into another one of the same account, in a session of its own.
 *
 * @param reference the tenant's id, key, slug or number; null: the core.
 * @param options.invited they have accepted an invitation there, which is as good as any other way in.
 * @throws noAccount, tenantInactive, emailNotVerified, passwordLoginOff, secondFactorRequired; tenantNotFound, for a tenant that the account
 *   is not in as for one that does not exist
 */
export async function switchTo(
  context: SignInContext,
  principal: Principal,
  credential: SessionCredential,
  reference: string | null,
  { invited = false }: { readonly invited?: boolean } = {},
): Promise<SignedInReply> {
  const { platform } = context;
  const { account, epoch } = await accountOf(platform, principal);
  // This node may not have heard yet, and what begins now would outlive what has ended.
  const proof = await platform.sessions.findProof(credential.sessionId);
  if (!proof || !isOfAccount(principal.epoch, epoch)) throw invalidToken();
  if (reference === null) return signIn(context, { account, epoch }, proof);
  const tenant = await platform.tenants.find(reference);
  const membership = tenant && (await findMembership(platform.control, account.id, tenant.id));
  if (!membership) throw tenantNotFound();
  if (tenant.status !== "active") throw tenantInactive();
  const subject = await findUserSubject(platform, tenant, membership.user_id);
  if (!subject) throw tenantNotFound();
  if (!isOfAccount(subject.epoch, epoch)) throw invalidToken();
  if (!mayEnter(platform, subject, account)) throw emailNotVerified();
  if (!invited && !mayEnterBy(proof.amr, subject)) throw passwordLoginOff();
  return signIn(context, subject, proof);
}

/**
 * Whose account it is. A user that is linked to one can only have logged in with its password: the
 * table `users` allows no second one.
 *
 * @throws noAccount, invalidToken if it is not active
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
