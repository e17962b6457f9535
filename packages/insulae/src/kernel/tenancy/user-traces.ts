/**
 * Erases what the control plane stores about a tenant's user. The user's row is in the tenant's
 * database and no foreign key leads there, so code that deletes a user calls this.
 * `data-places.test.ts` fails if a table that refers to users is missing here.
 */
import { type Kysely, sql } from "kysely";
import type { TenantId, UserId } from "../lib/ids.ts";
import type { ControlTables } from "../schema/control-tables.ts";

type UserTable =
  /** Rows with the user's id in this column are deleted. */
  | { readonly erasedBy: "user_id" | "subject_id" }
  /** The rows stay, for this reason. */
  | { readonly kept: string };

export const userTables: Readonly<Record<string, UserTable>> = {
  // First, because its trigger ends the sessions and announces it to all nodes.
  "control.memberships": { erasedBy: "user_id" },
  "control.sessions": { erasedBy: "subject_id" },
  "control.factors": { erasedBy: "subject_id" },
  "control.recovery_codes": { erasedBy: "subject_id" },
  "control.factor_attempts": { erasedBy: "subject_id" },
  "control.one_time_tokens": { erasedBy: "subject_id" },
  "control.client_certificates": { erasedBy: "user_id" },
  "control.impersonations": {
    kept: "the tenant has to see when an administrator of the platform acted as one of its users",
  },
};

/** Idempotent. */
export async function eraseUserTraces(
  control: Kysely<ControlTables>,
  tenantId: TenantId,
  userId: UserId,
): Promise<void> {
  await control.transaction().execute(async (tx) => {
    // End sessions before deleting them, so that open connections (log streams) close on every
    // node.
    await sql`
      update control.sessions set ended_at = clock_timestamp()
      where tenant_id = ${tenantId} and subject_id = ${userId} and ended_at is null`.execute(tx);
    for (const [table, how] of Object.entries(userTables)) {
      if (!("erasedBy" in how)) continue;
      await sql`
        delete from ${sql.table(table)}
        where tenant_id = ${tenantId} and ${sql.ref(how.erasedBy)} = ${userId}`.execute(tx);
    }
  });
}
