import { type Kysely, sql } from "kysely";
import type { WriteAudit } from "../audit/audit.ts";
import { eachOf } from "../lib/each-of.ts";
import type { TenantId } from "../lib/ids.ts";
import type { TenantStatus } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import type { DataPlace, PlacedTenant } from "./data-places.ts";
import { placementColumns, placementOf } from "./placements.ts";

export interface ErasureOptions {
  readonly control: Kysely<ControlTables>;
  readonly places: readonly DataPlace[];
  readonly audit: WriteAudit;
  readonly log: Logger;
}

/**
 * Erases all data of the tenant except its row in `control.tenants`. Safe to repeat after a
 * failure: the row keeps the placement until nothing is left.
 *
 * @throws Error if something is left; the message says where
 */
async function eraseData({ control, places }: ErasureOptions, id: TenantId): Promise<void> {
  const tenant = await findPlaced(control, id);
  for (const place of places) await place.erase(tenant);
  const left: string[] = [];
  for (const { name, residue } of places) {
    const count = (await residue?.(tenant)) ?? 0;
    if (count > 0) left.push(`${name}: ${count}`);
  }
  if (left.length > 0) throw new Error(`data of the tenant is left (${left.join(", ")})`);
}

async function findPlaced(control: Kysely<ControlTables>, id: TenantId): Promise<PlacedTenant> {
  const row = await control
    .selectFrom("control.tenants as t")
    .innerJoin("control.placements as p", "p.id", "t.placement_id")
    .select(placementColumns.map((name) => `p.${name}` as const))
    .where("t.id", "=", id)
    .executeTakeFirst();
  return { id, placement: row && placementOf(row) };
}

/** What happens to a tenant's hosts: they are removed, or stay registered for another tenant. */
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

/** Rolls back a failed creation: nothing of the tenant is left, and its key is free. */
export async function discardTenant(
  options: ErasureOptions,
  id: TenantId,
  hosts: HostsFate = "given up",
): Promise<void> {
  await leaveHosts(options.control, id, hosts);
  await eraseData(options, id);
  await options.control.deleteFrom("control.tenants").where("id", "=", id).execute();
}

/** How many tenants to fetch, and to erase in parallel. */
const batch = { found: 100, atOnce: 4 } as const;

/**
 * Erases deleted tenants whose grace period is over, and discards interrupted creations. A deleted
 * tenant's row stays as a tombstone, so that references to its id still resolve to a name. A
 * failure does not stop the others; the next sweep tries again.
 *
 * @param signal stops it after the erasures in progress
 */
export async function sweepTenants(options: ErasureOptions, signal?: AbortSignal): Promise<void> {
  const tried = new Set<TenantId>();
  for (;;) {
    const due = await findDue(options, [...tried]);
    for (const { id } of due) tried.add(id);
    await eachOf(due, batch.atOnce, (each) => eraseOne(options, each), signal);
    if (due.length < batch.found || signal?.aborted) return;
  }
}

interface Due {
  readonly id: TenantId;
  readonly status: TenantStatus;
}

/**
 * Uses one index each: most tenants are neither. One that has been moved waits until the place that it was
 * moved from is cleared, which a mover does at once when the tenant is deleted.
 */
async function findDue({ control }: ErasureOptions, tried: readonly TenantId[]): Promise<Due[]> {
  const { rows } = await sql<Due>`
    select id, status from control.tenants t
    where status = 'deleted' and erase_after < now() and id <> all (${tried}::uuid[])
      and not exists (select from control.moves m
        where m.tenant_id = t.id and m.state not in ('done', 'aborted'))
    union all
    select id, status from control.tenants
    where status = 'provisioning' and created_at < now() - interval '15 minutes'
      and id <> all (${tried}::uuid[])
    limit ${batch.found}`.execute(control);
  return rows;
}

async function eraseOne(options: ErasureOptions, { id, status }: Due): Promise<void> {
  const { log } = options;
  try {
    if (status === "provisioning") {
      await discardTenant(options, id);
      return;
    }
    await eraseData(options, id);
    await bury(options, id);
    log.info({ tenant_id: id }, "A deleted tenant was erased");
  } catch (error) {
    log.error({ err: error, tenant_id: id }, "Could not erase a tenant; will retry");
  }
}

/** Reduces an erased tenant's row to a tombstone: see `control.tenants` in `control-places.ts`. */
const bury = ({ control, audit }: ErasureOptions, id: TenantId): Promise<void> =>
  control.transaction().execute(async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable("control.tenants")
      .set({ erase_after: null, placement_id: null, owner_account_id: null, settings: "{}" })
      .where("id", "=", id)
      .where("erase_after", "is not", null)
      .executeTakeFirst();
    // Another node has done it.
    if (numUpdatedRows === 0n) return;
    await audit({ action: "tenant.erased", target: { type: "tenant", id } }, tx);
  });
