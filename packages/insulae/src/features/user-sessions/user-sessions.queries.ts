import type { Kysely } from "kysely";
import type { AccountId, TenantId, UserId } from "../../kernel/lib/ids.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";

type Control = Kysely<ControlTables>;

interface UserKey {
  readonly id: UserId;
  readonly accountId: AccountId | null;
}

/** When a session of each user in the tenant was last used, by themselves. */
export async function findLastUses(
  control: Control,
  tenantId: TenantId,
  users: readonly UserKey[],
): Promise<ReadonlyMap<string, Date>> {
  if (users.length === 0) return new Map();
  const rows = await control
    .selectFrom("control.sessions")
    .select(({ fn }) => ["subject_id", fn.max("last_used_at").as("at")])
    .where("tenant_id", "=", tenantId)
    .where(
      "subject_id",
      "in",
      users.map(({ id }) => id),
    )
    .where("impersonator_id", "is", null)
    .groupBy("subject_id")
    .execute();
  return new Map(rows.map(({ subject_id, at }) => [subject_id, at]));
}

/** Those users who have a second factor of their own, and those accounts that have one. */
export async function findFactorOwners(
  control: Control,
  tenantId: TenantId,
  users: readonly UserKey[],
): Promise<ReadonlySet<string>> {
  const own = users.filter(({ accountId }) => accountId === null).map(({ id }) => id);
  const accounts = users.flatMap(({ accountId }) => accountId ?? []);
  if (users.length === 0) return new Set();
  const rows = await control
    .selectFrom("control.factors")
    .select("subject_id")
    .distinct()
    .where((factor) =>
      factor.or([
        ...(own.length > 0
          ? [factor.and([factor("tenant_id", "=", tenantId), factor("subject_id", "in", own)])]
          : []),
        ...(accounts.length > 0
          ? [factor.and([factor("tenant_id", "is", null), factor("subject_id", "in", accounts)])]
          : []),
      ]),
    )
    .execute();
  return new Set(rows.map(({ subject_id }) => subject_id));
}
