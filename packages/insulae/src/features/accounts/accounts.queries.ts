import { type Insertable, type Kysely, sql } from "kysely";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import type { AccountId, TenantId, UserId } from "../../kernel/tenancy/tenant.ts";
import { findCanonicalEmail } from "../../kernel/validation/email.ts";

type Control = Kysely<ControlTables>;

/** What may be shown of an account. */
const columns = [
  "id",
  "email",
  "first_name",
  "last_name",
  "platform_admin",
  "is_owner",
  "is_active",
  "email_verified",
  "created_at",
  "updated_at",
] as const;

export type AccountView = Awaited<ReturnType<typeof insertAccount>>;

export const insertAccount = (
  control: Control,
  account: Insertable<ControlTables["control.accounts"]>,
) =>
  control
    .insertInto("control.accounts")
    .values(account)
    .returning(columns)
    .executeTakeFirstOrThrow();

/**
 * Whether the account was made. If the e-mail is taken, its row is locked and left as it is: that
 * costs a write of the log as the making does, and takes as long.
 */
export async function insertAccountUnlessTaken(
  control: Control,
  account: Insertable<ControlTables["control.accounts"]>,
): Promise<boolean> {
  const made = await control
    .insertInto("control.accounts")
    .values(account)
    .onConflict((conflict) =>
      conflict
        .column("email")
        .doUpdateSet((eb) => ({ email: eb.ref("excluded.email") }))
        .where(sql<boolean>`false`),
    )
    .returning("id")
    .executeTakeFirst();
  return made !== undefined;
}

export const findAccount = (control: Control, by: "id" | "email", value: string) =>
  control
    .selectFrom("control.accounts")
    .select([...columns, "password_hash", "sessions_valid_from"])
    .where(by, "=", value)
    .executeTakeFirst();

/** By an e-mail as somebody typed it. */
export async function findAccountByEmail(
  control: Control,
  email: string,
): Promise<AccountView | undefined> {
  return control
    .selectFrom("control.accounts")
    .select(columns)
    .where("email", "=", findCanonicalEmail(email) ?? "")
    .executeTakeFirst();
}

/** What counts of an active account at each request. */
export async function findAccountStanding(control: Control, id: AccountId) {
  const account = await control
    .selectFrom("control.accounts")
    .select(["email", "platform_admin", "sessions_valid_from"])
    .where("id", "=", id)
    .where("is_active", "=", true)
    .executeTakeFirst();
  return (
    account && {
      email: account.email,
      platformAdmin: account.platform_admin,
      sessionsValidFrom: account.sessions_valid_from,
    }
  );
}

/** The active account that a tenant's user is linked to. */
export const findAccountOfUser = (control: Control, tenantId: TenantId, userId: UserId) =>
  control
    .selectFrom("control.accounts")
    .innerJoin("control.memberships", "account_id", "id")
    .select("id")
    .where("tenant_id", "=", tenantId)
    .where("user_id", "=", userId)
    .where("is_active", "=", true)
    .executeTakeFirst();

/** Ends all sessions of the account, and of the users that are linked to it. */
export const endAccountSessions = (control: Control, id: AccountId) =>
  control
    .updateTable("control.accounts")
    .set({ sessions_valid_from: sql<Date>`clock_timestamp()` })
    .where("id", "=", id)
    .execute();

/** What counts of a member's account when the member signs in. */
export const findLinkedAccount = (
  control: Control,
  accountId: AccountId,
  tenantId: TenantId,
  userId: UserId,
) =>
  control
    .selectFrom("control.accounts")
    .innerJoin("control.memberships", "account_id", "id")
    .select(["email", "email_verified", "is_active", "password_hash", "sessions_valid_from"])
    .where("id", "=", accountId)
    .where("tenant_id", "=", tenantId)
    .where("user_id", "=", userId)
    .executeTakeFirst();

/** The active tenants that an account is a user of. */
export const listMemberships = (control: Control, accountId: AccountId) =>
  control
    .selectFrom("control.memberships")
    .innerJoin("control.tenants", "id", "tenant_id")
    .select(["user_id", "id", "key", "slug", "number", "name", "owner_account_id"])
    .where("account_id", "=", accountId)
    .where("status", "=", "active")
    .orderBy("number")
    // Far more than anybody has, so that a reply has a bound.
    .limit(1_000)
    .execute();

export const findMembership = (control: Control, accountId: AccountId, tenantId: TenantId) =>
  control
    .selectFrom("control.memberships")
    .select("user_id")
    .where("account_id", "=", accountId)
    .where("tenant_id", "=", tenantId)
    .executeTakeFirst();
