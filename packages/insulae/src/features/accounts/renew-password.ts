import type { Platform } from "../../kernel/feature/platform.ts";
import type { AccountId, UserId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { UserTables } from "../users/users.feature.ts";

/** Where the password is stored: in an account or in a user of its own tenant. */
type Holder =
  | { readonly accountId: AccountId }
  | { readonly tenant: Tenant; readonly userId: UserId };

/**
 * Rehashes a password that has just been verified if its hash uses an outdated algorithm or cost.
 * The password stays the same, so no sessions end.
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
  // `renewed_hash` tells the trigger that ends sessions that the password has not changed.
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
