import { type Kysely, sql } from "kysely";
import type { WriteAudit } from "../audit/audit.ts";
import type { ControlTables } from "../database/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Provisioning } from "./provisioning.ts";
import type { Tenant, TenantId } from "./tenant.ts";
import { findTenant } from "./tenant-queries.ts";

export interface ErasureOptions {
  readonly control: Kysely<ControlTables>;
  readonly provisioning: Provisioning;
  /** Deletes the tenant's rows from a shared schema. */
  readonly eraseRows: (tenant: Tenant) => Promise<void>;
  /** Deletes the tenant's files. */
  readonly eraseFiles: (id: TenantId) => Promise<void>;
  readonly audit: WriteAudit;
  readonly log: Logger;
}

/** Erases the tenant's rows and files, wherever they are. May be repeated after it failed half-way. */
async function eraseData(options: ErasureOptions, id: TenantId): Promise<void> {
  const { control, eraseFiles, eraseRows, provisioning } = options;
  const tenant = await findTenant(control, { by: "id", value: id }, "provisioning", "deleted");
  if (!tenant) return;
  await eraseFiles(id);
  if (tenant.placement.isolation === "pool") await eraseRows(tenant);
  await control
    .updateTable("control.tenants")
    .set({ placement_id: null })
    .where("id", "=", id)
    .execute();
  if (tenant.placement.isolation !== "pool") await provisioning.retire(tenant.placement);
}

/** What becomes of a tenant's hosts: they are forgotten with it, or stay registered for another. */
export type HostsFate = "given up" | "kept";

export async function leaveHosts(
  tx: Kysely<ControlTables>,
  id: TenantId,
  hosts: HostsFate,
): Promise<void> {
  await (hosts === "kept"
    ? tx.updateTable("control.hosts").set({ tenant_id: null }).where("tenant_id", "=", id).execute()
    : tx.deleteFrom("control.hosts").where("tenant_id", "=", id).execute());
}

/** Takes back a creation that failed: nothing of the tenant is left, and its key is free. */
export async function discardTenant(
  options: ErasureOptions,
  id: TenantId,
  hosts: HostsFate = "given up",
): Promise<void> {
  await eraseData(options, id);
  await options.control.transaction().execute(async (tx) => {
    await leaveHosts(tx, id, hosts);
    await tx.deleteFrom("control.tenants").where("id", "=", id).execute();
  });
}

/**
 * Erases deleted tenants whose time has come, and discards creations that a crash cut short. A
 * deleted tenant's row stays as a tombstone, so that what refers to its id still finds a name.
 */
export async function sweepTenants(options: ErasureOptions): Promise<void> {
  const { control, log } = options;
  const due = await control
    .selectFrom("control.tenants")
    .select(["id", "status"])
    .where((eb) =>
      eb.or([
        eb.and([eb("status", "=", "deleted"), eb("erase_after", "<", sql<Date>`now()`)]),
        eb.and([
          eb("status", "=", "provisioning"),
          eb("created_at", "<", sql<Date>`now() - interval '15 minutes'`),
        ]),
      ]),
    )
    .execute();
  for (const { id, status } of due) {
    try {
      if (status === "provisioning") {
        await discardTenant(options, id);
        continue;
      }
      await eraseData(options, id);
      await control
        .updateTable("control.tenants")
        .set({ erase_after: null })
        .where("id", "=", id)
        .execute();
      await options.audit({ action: "tenant.erased", target: { type: "tenant", id } });
      log.info({ tenant_id: id }, "A deleted tenant was erased");
    } catch (error) {
      log.error(
        { err: error, tenant_id: id },
        "A tenant could not be erased; it will be tried again",
      );
    }
  }
}
