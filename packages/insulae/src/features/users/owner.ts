import type { CorePrincipal } from "../../kernel/auth/principal.ts";
import type { SystemRole } from "../../kernel/feature.ts";
import type { Platform } from "../../kernel/platform.ts";
import type { Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
import { createUser, findUserOfAccount, type UserTables } from "./users.queries.ts";

type Services = Pick<Platform, "control" | "withTenant">;

/**
 * Makes the account a user of the tenant, with the role `owner`. It is for a tenant that is being
 * made: if it fails half-way, the tenant is taken back, and its user with it.
 */
export async function createOwnerUser(
  services: Services,
  tenant: Tenant,
  account: Pick<CorePrincipal, "id">,
): Promise<void> {
  const made = await linkAccount(services, tenant, account, "owner");
  if (!made) throw new Error("the owner's user was not made");
}

/**
 * Makes the account a user of the tenant, and notes the membership in the control plane. These are
 * two databases: where the second step failed, the next call finds the user that the first one made
 * and goes on.
 *
 * @returns undefined if the account is a member. @throws emailTaken if another user has its e-mail
 */
export async function linkAccount(
  { control, withTenant }: Services,
  tenant: Tenant,
  account: Pick<CorePrincipal, "id">,
  role: SystemRole,
): Promise<UserId | undefined> {
  const { id: accountId, ...person } = await control
    .selectFrom("control.accounts")
    .select(["id", "email", "first_name", "last_name", "email_verified"])
    .where("id", "=", account.id)
    .executeTakeFirstOrThrow();
  const userId = await withTenant<UserTables, UserId | undefined>(tenant, async ({ db }) => {
    const found = await findUserOfAccount(db, accountId);
    return (found ?? (await createUser.first(db, { ...person, account_id: accountId, role })))?.id;
  });
  if (!userId) throw new Error("the account's user was not made");
  const { numInsertedOrUpdatedRows: made } = await control
    .insertInto("control.memberships")
    .values({ account_id: accountId, tenant_id: tenant.id, user_id: userId })
    .onConflict((conflict) =>
      // Of a user who was deleted since, a membership may be left.
      conflict
        .columns(["account_id", "tenant_id"])
        .doUpdateSet({ user_id: userId })
        .where("control.memberships.user_id", "<>", userId),
    )
    .executeTakeFirst();
  return made === 1n ? userId : undefined;
}
