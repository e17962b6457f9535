/**
 * Membership: an account that is a user of a tenant. It consists of a user in the tenant's data,
 * linked
 * to the account, and a row in `control.memberships`. These are two databases, so the order
 * matters;
 * what a crash leaves in between is harmless, and the next attempt completes it:
 *
 *   joining   user, then membership     a user without a membership can't sign in; joining again
 *                                       continues with that user
 *   leaving   user, then membership     a membership without a user leads nowhere; leaving,
 *   removing
 *                                       or joining again repairs it
 */
import type { Kysely } from "kysely";
import type { SystemRole } from "../../kernel/feature/feature.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId, TenantId, UserId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import { eraseUserTraces } from "../../kernel/tenancy/user-traces.ts";
import { createUser, findUserOfAccount, type UserTables, type UserView } from "./users.queries.ts";

export const alreadyMember = defineError(
  "already_member",
  409,
  "The tenant already has a user with this account or e-mail address",
);

type Services = Pick<Platform, "control" | "withTenant">;
type Control = Kysely<ControlTables>;

/**
 * Makes the account an owner of a tenant that is being created. If this fails half-way, the
 * creation is rolled back together with the user.
 */
export async function createOwnerUser(
  services: Services,
  tenant: Tenant,
  account: { readonly id: AccountId },
): Promise<void> {
  const made = await linkAccount(services, tenant, account, "owner");
  if (!made) throw new Error("the owner's user was not created");
}

/**
 * Makes the account a user of the tenant and records the membership in the control plane.
 *
 * @returns undefined if the account is a member already
 * @throws emailTaken if another user has its e-mail
 */
export async function linkAccount(
  { control, withTenant }: Services,
  tenant: Tenant,
  account: { readonly id: AccountId },
  role: SystemRole,
): Promise<UserId | undefined> {
  const person = await findPerson(control, account.id);
  const { id: userId } = await withTenant<UserTables, { id: UserId }>(
    tenant,
    async ({ db, events }) =>
      (await findUserOfAccount(db, account.id)) ??
      events.recording("user.created", (tx) => createLinkedUser(tx, person, role)),
  );
  const member = { accountId: account.id, tenantId: tenant.id, userId };
  return (await noteMembership(control, member)) ? userId : undefined;
}

type Person = Awaited<ReturnType<typeof findPerson>>;

/** The properties that a linked user takes from the account. */
export const findPerson = (control: Control, accountId: AccountId) =>
  control
    .selectFrom("control.accounts")
    .select(["id as account_id", "email", "first_name", "last_name", "email_verified"])
    .where("id", "=", accountId)
    .executeTakeFirstOrThrow();

/** Step 1. @throws emailTaken if another user has the e-mail */
export async function createLinkedUser(
  db: Kysely<UserTables>,
  person: Person,
  role: SystemRole,
): Promise<UserView> {
  const user = await createUser.first(db, { ...person, role });
  if (!user) throw new Error("the account's user was not created");
  return user;
}

/** The account's user in a tenant, if active. */
export async function findActiveUserOf(
  { withTenant }: Pick<Platform, "withTenant">,
  tenant: Tenant,
  accountId: AccountId,
): Promise<{ readonly id: UserId; readonly role: string } | undefined> {
  const user = await withTenant<UserTables, Awaited<ReturnType<typeof findUserOfAccount>>>(
    tenant,
    ({ db }) => findUserOfAccount(db, accountId),
  );
  return user?.is_active ? user : undefined;
}

interface Member {
  readonly accountId: AccountId;
  readonly tenantId: TenantId;
  readonly userId: UserId;
}

/** Step 2. @returns whether it was not recorded yet */
export async function noteMembership(
  control: Control,
  { accountId, tenantId, userId }: Member,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows: made } = await control
    .insertInto("control.memberships")
    .values({ account_id: accountId, tenant_id: tenantId, user_id: userId })
    .onConflict((conflict) =>
      // The membership of a user who was deleted since may still be there.
      conflict
        .columns(["account_id", "tenant_id"])
        .doUpdateSet({ user_id: userId })
        .where("control.memberships.user_id", "<>", userId),
    )
    .executeTakeFirst();
  return made === 1n;
}

/** The key of a user's profile in the tenant's cache; `platform.forgetUser` deletes it. */
export const profileKey = (userId: string): string => `user:profile:${userId}`;

/**
 * Deletes everything that the control plane stores about a deleted user: membership, sessions,
 * factors, tokens. Call it whenever a user may have been deleted.
 */
export async function forgetGoneUser(
  { control, db }: { readonly control: Control; readonly db: Kysely<UserTables> },
  tenantId: TenantId,
  userId: UserId,
): Promise<void> {
  const user = await db
    .selectFrom("users")
    .select("id")
    .where("id", "=", userId)
    .executeTakeFirst();
  if (user) return;
  await eraseUserTraces(control, tenantId, userId);
}
