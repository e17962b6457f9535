/**
 * An account that is a user of a tenant: a user in the tenant's data, linked to the account, and a
 * row of `control.memberships`. These are two databases, so there is an order, and whatever a crash
 * leaves in between is of no use to anybody and is mended by the next attempt:
 *
 *   joining   user, then membership     a user without a membership can't sign in; whoever joins
 *                                       again goes on with that user
 *   going     user, then membership     a membership without a user leads nowhere; whoever leaves, is
 *                                       removed or joins again mends it
 */
import type { Kysely } from "kysely";
import type { SystemRole } from "../../kernel/feature/feature.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import type { AccountId, Tenant, TenantId, UserId } from "../../kernel/tenancy/tenant.ts";
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
 * Makes the account a user of the tenant, with the role `owner`. It is for a tenant that is being
 * made: if it fails half-way, the tenant is taken back, and its user with it.
 */
export async function createOwnerUser(
  services: Services,
  tenant: Tenant,
  account: { readonly id: AccountId },
): Promise<void> {
  const made = await linkAccount(services, tenant, account, "owner");
  if (!made) throw new Error("the owner's user was not made");
}

/**
 * Makes the account a user of the tenant, and notes the membership in the control plane.
 *
 * @returns undefined if the account is a member. @throws emailTaken if another user has its e-mail
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

/** What a user has of the account that it is linked to. */
export const findPerson = (control: Control, accountId: AccountId) =>
  control
    .selectFrom("control.accounts")
    .select(["id as account_id", "email", "first_name", "last_name", "email_verified"])
    .where("id", "=", accountId)
    .executeTakeFirstOrThrow();

/** The first step. @throws emailTaken if another user has the e-mail */
export async function createLinkedUser(
  db: Kysely<UserTables>,
  person: Person,
  role: SystemRole,
): Promise<UserView> {
  const user = await createUser.first(db, { ...person, role });
  if (!user) throw new Error("the account's user was not made");
  return user;
}

/** The user that an account is in a tenant, if they are active. */
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

/** The second step. @returns whether it was not noted yet */
export async function noteMembership(
  control: Control,
  { accountId, tenantId, userId }: Member,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows: made } = await control
    .insertInto("control.memberships")
    .values({ account_id: accountId, tenant_id: tenantId, user_id: userId })
    .onConflict((conflict) =>
      // Of a user who was deleted since, a membership may be left.
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
 * Of a user who is gone, everything that the control plane has of them goes too: the membership,
 * sessions, factors, tokens. To be called whenever a user may have been deleted.
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
