import { type Insertable, type Kysely, sql } from "kysely";
import type { AccountId, TenantId, UserId } from "../../kernel/lib/ids.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import { findCanonicalEmail } from "../../kernel/validation/email.ts";

type Control = Kysely<ControlTables>;

/** The columns of an account that API responses may contain. */
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
 * Inserts an account unless its e-mail is taken.
 *
 * If it is taken, the existing row is locked but not changed. That writes one WAL record, as an
 * insert does, so timing does not reveal which of the two happened.
 *
 * @returns whether the account was created
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

/** @param email as typed; it is normalised here */
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

/** The part of an active account that authorisation reads on each request. */
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

/** Ends all sessions of the account and of every user linked to it. */
export const endAccountSessions = (control: Control, id: AccountId) =>
  control
    .updateTable("control.accounts")
    .set({ sessions_valid_from: sql<Date>`clock_timestamp()` })
    .where("id", "=", id)
    .execute();

/** The part of a user's linked account that sign-in needs. */
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

/** The active tenants that an account has a user in. */
export const listMemberships = (control: Control, accountId: AccountId) =>
  control
    .selectFrom("control.memberships")
    .innerJoin("control.tenants", "id", "tenant_id")
    .select(["user_id", "id", "key", "slug", "number", "name", "owner_account_id"])
    .where("account_id", "=", accountId)
    .where("status", "=", "active")
    .orderBy("number")
    // A bound for the response, far above any realistic number of memberships.
    .limit(1_000)
    .execute();

export const findMembership = (control: Control, accountId: AccountId, tenantId: TenantId) =>
  control
    .selectFrom("control.memberships")
    .select("user_id")
    .where("account_id", "=", accountId)
    .where("tenant_id", "=", tenantId)
    .executeTakeFirst();
