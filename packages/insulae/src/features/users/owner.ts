import type { CorePrincipal } from "../../kernel/auth/principal.ts";
import type { Platform } from "../../kernel/platform.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";
import { createUser, type UserTables, type UserView } from "./users.queries.ts";

/**
 * Makes the account a user of the tenant, with the role `owner`, and notes the membership in the
 * control plane. It is for a tenant that is being made: if the second step fails, the tenant is
 * taken back, and its user with it.
 */
export async function createOwnerUser(
  { control, withTenant }: Pick<Platform, "control" | "withTenant">,
  tenant: Tenant,
  account: Pick<CorePrincipal, "id">,
): Promise<void> {
  const { id: accountId, ...person } = await control
    .selectFrom("control.accounts")
    .select(["id", "email", "first_name", "last_name", "email_verified"])
    .where("id", "=", account.id)
    .executeTakeFirstOrThrow();
  const user = await withTenant<UserTables, UserView | undefined>(tenant, ({ db }) =>
    createUser.first(db, { ...person, account_id: accountId, role: "owner" }),
  );
  if (!user) throw new Error("the owner's user was not made");
  await control
    .insertInto("control.memberships")
    .values({ account_id: accountId, tenant_id: tenant.id, user_id: user.id })
    .execute();
}
