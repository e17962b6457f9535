import { type Kysely, type RawBuilder, sql, type Transaction } from "kysely";
import type { AccountId } from "../../kernel/lib/ids.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";

type Control = Kysely<ControlTables>;

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

export interface WantedAccounts {
  readonly q?: string | undefined;
  readonly is_active?: boolean | undefined;
  readonly platform_admin?: boolean | undefined;
}

/** A search looks at so many accounts by each of its columns. */
const mostFound = 1_000;

/** Newest first. */
export async function listAccounts(
  control: Control,
  { q, is_active, platform_admin }: WantedAccounts,
  { after, limit }: { readonly after: string | undefined; readonly limit: number },
) {
  return (
    control
      .selectFrom("control.accounts as a")
      .select(columns)
      .$if(q !== undefined, (query) => query.where(sql<boolean>`a.id = any(${found(q ?? "")})`))
      // Literals, so that the indexes of the few are used, whoever planned the statement.
      .$if(is_active === true, (query) => query.where(sql<boolean>`a.is_active`))
      .$if(is_active === false, (query) => query.where(sql<boolean>`not a.is_active`))
      .$if(platform_admin === true, (query) => query.where(sql<boolean>`a.platform_admin`))
      .$if(platform_admin === false, (query) => query.where(sql<boolean>`not a.platform_admin`))
      .$if(after !== undefined, (query) => query.where(sql<boolean>`a.id < ${after}`))
      .orderBy("a.id", "desc")
      .limit(limit)
      .execute()
  );
}

const isUuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** An array, so that PostgreSQL looks them up by id, and doesn't walk all accounts in the list's order. */
function found(q: string): RawBuilder<string[]> {
  const text = q.trim().toLowerCase();
  const ids = sql<string[]>`control.accounts_beginning_with(${text}, ${sql.lit(mostFound)})`;
  const found = isUuid.test(text) ? sql<string[]>`${ids} || ${text}::uuid` : ids;
  return sql`array(select unnest(${found}))`;
}

export const findAccount = (control: Control, id: AccountId) =>
  control
    .selectFrom("control.accounts")
    .select([...columns, "sessions_valid_from"])
    .where("id", "=", id)
    .executeTakeFirst();

/** The tenants that the account is a user of, whether it owns them or not; newest first. */
export const listMemberships = (control: Control, id: AccountId, limit: number) =>
  control
    .selectFrom("control.memberships as m")
    .innerJoin("control.tenants as t", "t.id", "m.tenant_id")
    .select(["t.id", "t.key", "t.slug", "t.name", "m.user_id", "m.created_at"])
    .select(sql<"active" | "suspended">`t.status`.as("status"))
    .select(sql<boolean>`t.owner_account_id is not distinct from m.account_id`.as("owner"))
    .where("m.account_id", "=", id)
    .where("t.status", "in", ["active", "suspended"])
    .orderBy("m.tenant_id", "desc")
    .limit(limit)
    .execute();

/**
 * Locks all platform administrators until the transaction ends, so that of several who take each other's place
 * one stays.
 *
 * @returns the ids of those who are active
 */
export async function lockAdministrators(
  tx: Transaction<ControlTables>,
): Promise<readonly AccountId[]> {
  const rows = await tx
    .selectFrom("control.accounts")
    .select(["id", "is_active"])
    .where(sql<boolean>`platform_admin`)
    .orderBy("id")
    .forUpdate()
    .execute();
  return rows.filter(({ is_active }) => is_active).map(({ id }) => id);
}

export const setAccount = (
  control: Control,
  id: AccountId,
  set: { readonly is_active: boolean } | { readonly platform_admin: boolean },
) => control.updateTable("control.accounts").set(set).where("id", "=", id).execute();
