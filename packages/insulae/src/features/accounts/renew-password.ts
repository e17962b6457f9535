import type { Platform } from "../../kernel/feature/platform.ts";
import type { AccountId, Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
import type { UserTables } from "../users/users.feature.ts";

/** Whose password it is: an account's, or a user's own. */
type Holder =
  | { readonly accountId: AccountId }
  | { readonly tenant: Tenant; readonly userId: UserId };

/**
 * Hashes a password anew that was right, where its hash is of a kind or cost that is not made any
 * more. It stays the same password: nobody's sessions end.
 */
export async function renewPassword(
  { control, passwords, withTenant }: Platform,
  holder: Holder,
  password: string,
  old: string | null | undefined,
): Promise<void> {
  const tenant = "tenant" in holder ? holder.tenant : undefined;
  const renewed = old ? await passwords.of(tenant).renew(password, old) : undefined;
  if (!old || renewed === undefined) return;
  // By `renewed_hash` the trigger that ends sessions knows that it is the same password.
  const values = { password_hash: renewed, renewed_hash: renewed };
  if ("accountId" in holder) {
    await control
      .updateTable("control.accounts")
      .set(values)
      .where("id", "=", holder.accountId)
      .where("password_hash", "=", old)
      .execute();
    return;
  }
  await withTenant<UserTables, unknown>(holder.tenant, ({ db }) =>
    db
      .updateTable("users")
      .set(values)
      .where("id", "=", holder.userId)
      .where("password_hash", "=", old)
      .execute(),
  );
}
