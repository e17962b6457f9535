/**
 * What the control plane has of a tenant's user. The user's row is with the tenant's data, perhaps in
 * another database, and no foreign key leads there; so whoever deletes a user has this erased. A table
 * that names users and is missing here turns `data-places.test.ts` red.
 */
import { type Kysely, sql } from "kysely";
import type { ControlTables } from "../schema/control-tables.ts";
import type { TenantId, UserId } from "./tenant.ts";

type UserTable =
  /** Its rows with the user's id in this column are deleted. */
  | { readonly erasedBy: "user_id" | "subject_id" }
  /** The rows stay, for this reason. */
  | { readonly kept: string };

export const userTables: Readonly<Record<string, UserTable>> = {
  // Its trigger ends the sessions, of which all nodes hear; so it comes before them.
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

/** Erases it. May be repeated. */
export async function eraseUserTraces(
  control: Kysely<ControlTables>,
  tenantId: TenantId,
  userId: UserId,
): Promise<void> {
  await control.transaction().execute(async (tx) => {
    // Ended first: what is open with them (a stream of the log) ends on every node.
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
