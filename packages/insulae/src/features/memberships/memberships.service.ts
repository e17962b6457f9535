/**
 * The tenants of an account: listing, leaving and transferring them. `users/membership.ts` creates
 * and repairs memberships across the two databases.
 */

import type { Platform } from "../../kernel/feature/platform.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId, UserId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { tenantInactive, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import {
  accountOf,
  findAccountOfUser,
  findMembership,
  listMemberships,
  summaryOf,
} from "../accounts/accounts.feature.ts";
import { listJoinable } from "../email-domains/email-domains.feature.ts";
import { listWaiting } from "../invitations/invitations.feature.ts";
import { isPlatformAdmin } from "../tenants/tenants.feature.ts";
import {
  findActiveUserOf,
  ownsTenant,
  removeThemself,
  transferOwnership,
  type UserTables,
} from "../users/users.feature.ts";
import { ownershipMail } from "./mails.ts";

export const notTransferable = defineError(
  "not_transferable",
  409,
  "The new owner must be another active user of the tenant, linked to an account",
);

/** The account's tenants, and those that its verified e-mail lets it join. @throws noAccount */
export async function describeTenants(platform: Platform, principal: Principal) {
  const { account } = await accountOf(platform, principal);
  const memberships = await listMemberships(platform.control, account.id);
  // Anybody can register any address, so an unverified one opens nothing.
  const verified = account.email_verified;
  const joinable = verified ? await listJoinable(platform.control, account) : [];
  const invitations = verified ? await listWaiting(platform, account) : [];
  return {
    memberships: memberships.map(({ user_id, owner_account_id, ...tenant }) => ({
      tenant: summaryOf(tenant),
      user_id,
      is_owner: owner_account_id === account.id,
    })),
    joinable: joinable.map(({ domain, role, ...tenant }) => ({
      tenant: summaryOf(tenant),
      domain,
      role,
    })),
    invitations,
  };
}

/**
 * Deletes the caller's user in the tenant, and with it the membership.
 *
 * @throws tenantNotFound if the caller is not a member, tenantInactive, lastOwner, ownsTenant;
 *   userNotFound if their user is deactivated or already deleted
 */
export async function leaveTenant(
  platform: Platform,
  principal: Principal,
  reference: string,
): Promise<{ tenant: Tenant; userId: UserId }> {
  const tenant = await findVisible(platform, principal, reference);
  const accountId = await findAccountId(platform, principal);
  const userId = tenant && (await findUserIn(platform, principal, accountId, tenant));
  if (!tenant || !userId) throw tenantNotFound();
  if (tenant.status !== "active") throw tenantInactive();
  if (accountId && tenant.ownerAccountId === accountId) throw ownsTenant();
  try {
    await platform.withTenant<UserTables, void>(tenant, (scope) => removeThemself(scope, userId));
  } finally {
    // Also completes an earlier attempt that stopped after deleting the user.
    await platform.forgetUser(tenant, userId);
  }
  return { tenant, userId };
}

/**
 * Transfers the tenant to another user's account. The roles are in the tenant's database, the owner
 * in the control plane. The tenant's control row is locked while the roles change, and is updated
 * last: a crash in between leaves the roles changed and the owner unchanged, and the request can be
 * repeated.
 *
 * Platform administrators may do this for the owner, also if the tenant has no owner.
 *
 * @throws tenantNotFound if the caller does not own the tenant (any more) or is no active user
 * there,
 *   tenantInactive, notTransferable, tooManyTenants if the new owner's limit is reached
 */
export async function transferTenant(
  platform: Platform,
  principal: Principal,
  reference: string,
  heir: UserId,
): Promise<{ tenant: Tenant; from: AccountId | undefined; to: AccountId }> {
  const { control, tenants, mail, withTenant, forgetUser } = platform;
  const tenant = await findVisible(platform, principal, reference);
  if (!tenant) throw tenantNotFound();
  const isAdmin = isPlatformAdmin(principal);
  const from = tenant.ownerAccountId;
  const own = from && (await findActiveUserOf(platform, tenant, from));
  const isOwner = own && from === (await findAccountId(platform, principal));
  if (!isOwner && !isAdmin) throw tenantNotFound();
  if (tenant.status !== "active") throw tenantInactive();
  const to = (await findAccountOfUser(control, tenant.id, heir))?.id;
  if (!to || to === from) throw notTransferable();
  const limit =
    isAdmin || (await isAdministrator(platform, to)) ? 0 : platform.config.tenantsPerAccount;
  const given = await tenants.transfer(tenant.id, { from, to, limit }, async (tx) => {
    const passed = await withTenant<UserTables, boolean>(tenant, (scope) =>
      transferOwnership(scope, { from: own?.id, to: heir, mustOwn: !isAdmin }),
    );
    if (!passed) throw notTransferable();
    await tx.updateTable("control.accounts").set({ is_owner: true }).where("id", "=", to).execute();
    const people = await tx
      .selectFrom("control.accounts")
      .select(["id", "email"])
      .where("id", "in", from ? [from, to] : [to])
      .execute();
    const emailOf = (id: AccountId) => people.find((person) => person.id === id)?.email ?? "";
    const giver = isOwner ? emailOf(from) : "A platform administrator";
    const variables = { from: giver, to: emailOf(to), at: new Date().toUTCString() };
    for (const { email } of people) {
      await mail.send(ownershipMail, { to: email, tenant, variables }, tx);
    }
  });
  for (const userId of [own?.id, heir]) if (userId) await forgetUser(tenant, userId);
  return { tenant: given, from, to };
}

const isAdministrator = async ({ authority }: Platform, account: AccountId): Promise<boolean> =>
  (await authority.findAccount(account))?.platformAdmin === true;

/** A token for one tenant can't see any other. */
async function findVisible({ tenants }: Platform, principal: Principal, reference: string) {
  const tenant = await tenants.find(reference);
  return principal.kind === "core" || principal.tenantId === tenant?.id ? tenant : undefined;
}

/** The caller's active account, if they have one. */
async function findAccountId({ control }: Platform, principal: Principal) {
  if (principal.kind === "core") return principal.id;
  return (await findAccountOfUser(control, principal.tenantId, principal.id))?.id;
}

/** The caller's user in the tenant. */
async function findUserIn(
  { control }: Platform,
  principal: Principal,
  accountId: AccountId | undefined,
  tenant: Tenant,
): Promise<UserId | undefined> {
  if (principal.kind === "tenant" && principal.tenantId === tenant.id) return principal.id;
  return accountId && (await findMembership(control, accountId, tenant.id))?.user_id;
}
