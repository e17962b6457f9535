import { invalidToken } from "../../kernel/auth/errors.ts";
import type { Principal } from "../../kernel/auth/principal.ts";
import { defineError } from "../../kernel/errors.ts";
import type { Platform } from "../../kernel/platform.ts";
import { tenantInactive, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import {
  type AccountView,
  findAccount,
  findAccountOfUser,
  findMembership,
} from "./accounts.queries.ts";
import { type SignedInReply, signInAccount, signInMember } from "./signed-in.ts";

export const noAccount = defineError(
  "no_account",
  403,
  "This user belongs to one tenant only: there is no account to switch with",
);

/**
 * From one context into another one of the same account.
 *
 * @param reference the tenant's id, key, slug or number; null: the core.
 * @throws noAccount, tenantInactive; tenantNotFound, for a tenant that the account is not in as for
 *   one that does not exist
 */
export async function switchTo(
  platform: Platform,
  principal: Principal,
  reference: string | null,
): Promise<SignedInReply> {
  const account = await accountOf(platform, principal);
  if (reference === null) return signInAccount(platform, account);
  const tenant = await platform.tenants.find(reference);
  const membership = tenant && (await findMembership(platform.control, account.id, tenant.id));
  if (!membership) throw tenantNotFound();
  if (tenant.status !== "active") throw tenantInactive();
  const signedIn = await signInMember(platform, tenant, membership.user_id);
  if (!signedIn) throw tenantNotFound();
  return signedIn;
}

/**
 * Whose account it is. A user that is linked to one can only have logged in with its password: the
 * table `users` allows no second one.
 */
async function accountOf({ control }: Platform, principal: Principal): Promise<AccountView> {
  if (principal.kind === "tenant") {
    const linked = await findAccountOfUser(control, principal.tenantId, principal.id);
    if (!linked) throw noAccount();
    return linked;
  }
  const found = await findAccount(control, "id", principal.id);
  if (!found?.is_active) throw invalidToken();
  const { password_hash: _hash, ...account } = found;
  return account;
}
