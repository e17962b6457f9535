import { type Kysely, sql } from "kysely";
import { defineError } from "../lib/errors.ts";
import type { TenantId } from "../lib/ids.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { tenantExists, tenantNotFound } from "./errors.ts";

export const notRestorable = defineError(
  "tenant_not_restorable",
  409,
  "Only a deleted tenant whose rows are not yet erased can be restored. List those with status=deleted.",
);

/**
 * Takes a deletion back. Nothing is erased before its time; the minute is for an erasure that is about to begin.
 *
 * @throws tenantNotFound, notRestorable, tenantExists
 */
export async function restoreTenant(control: Kysely<ControlTables>, id: TenantId): Promise<void> {
  const { numUpdatedRows } = await control
    .updateTable("control.tenants")
    .set({ status: "active", deleted_at: null, erase_after: null })
    .where("id", "=", id)
    .where("status", "=", "deleted")
    .where(sql<boolean>`erase_after > now() + interval '1 minute'`)
    .executeTakeFirst()
    .catch((error: unknown) => {
      const { code, constraint } = error as { code?: string; constraint?: string };
      const taken = ["tenants_key_unique", "tenants_slug_unique"].includes(constraint ?? "");
      throw code === "23505" && taken ? tenantExists() : error;
    });
  if (numUpdatedRows > 0n) return;
  const known = await control
    .selectFrom("control.tenants")
    .select("id")
    .where("id", "=", id)
    .where("status", "<>", "provisioning")
    .executeTakeFirst();
  throw known ? notRestorable() : tenantNotFound();
}
