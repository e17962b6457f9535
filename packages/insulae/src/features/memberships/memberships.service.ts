/**
 * The tenants of a person: where they are, where they could be, leaving one, giving one away. How a
 * membership is made and mended, over two databases, is in `users/membership.ts`.
 */

import type { Platform } from "../../kernel/feature/platform.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { tenantInactive, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import type { AccountId, Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
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
  passOwnership,
  removeThemself,
  type UserTables,
} from "../users/users.feature.ts";
import { ownershipMail } from "./mails.ts";

export const notTransferable = defineError(
  "not_transferable",
  409,
  "The new owner must be another active user of the tenant, linked to an account",
);

/** Where the caller's account is, and what its e-mail opens. @throws noAccount */
export async function describeTenants(platform: Platform, principal: Principal) {
  const { account } = await accountOf(platform, principal);
  const memberships = await listMemberships(platform.control, account.id);
  // Anybody can register with any address.
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
 * @throws tenantNotFound to whoever is not in it, tenantInactive, lastOwner, ownsTenant; userNotFound
 *   for who was switched off, and where the user was gone already
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
    // Also where an earlier attempt got no further than the user.
    await platform.forgetUser(tenant, userId);
  }
  return { tenant, userId };
}

/**
 * Gives the tenant to another user's account. The roles are the tenant's data, and who owns it is
 * the control plane's; so the tenant's row in the control plane is held while the roles change, and
 * changes last. A crash in between leaves the roles changed and the owner as before, who may ask again.
 *
 * A platform administrator may do it for the owner, also where nobody owns the tenant.
 *
 * @throws tenantNotFound to whoever does not own it (any more) or is no active user there,
 *   tenantInactive, notTransferable, tooManyTenants if the new owner may own no more
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
      passOwnership(scope, { from: own?.id, to: heir, mustOwn: !isAdmin }),
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

/** To a token of a tenant, there is no other tenant. */
async function findVisible({ tenants }: Platform, principal: Principal, reference: string) {
  const tenant = await tenants.find(reference);
  return principal.kind === "core" || principal.tenantId === tenant?.id ? tenant : undefined;
}

/** The caller's active account, if they have one. */
async function findAccountId({ control }: Platform, principal: Principal) {
  if (principal.kind === "core") return principal.id;
  return (await findAccountOfUser(control, principal.tenantId, principal.id))?.id;
}

/** Who the caller is in the tenant. */
async function findUserIn(
  { control }: Platform,
  principal: Principal,
  accountId: AccountId | undefined,
  tenant: Tenant,
): Promise<UserId | undefined> {
  if (principal.kind === "tenant" && principal.tenantId === tenant.id) return principal.id;
  return accountId && (await findMembership(control, accountId, tenant.id))?.user_id;
}
