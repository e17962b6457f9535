import { type Kysely, sql } from "kysely";
import type { HostSettings } from "../model/host-settings.ts";
import type { Tenant, TenantStatus } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { placementOf } from "./placements.ts";

/** One way to identify a tenant. */
export type TenantLookup = {
  readonly by: "id" | "key" | "slug" | "number" | "host";
  readonly value: string;
};

export const selectTenants = (control: Kysely<ControlTables>) =>
  control
    .selectFrom("control.tenants as t")
    .innerJoin("control.placements as p", "p.id", "t.placement_id")
    .select([
      "t.id",
      "t.key",
      "t.slug",
      "t.number",
      "t.name",
      "t.status",
      "t.plan",
      "t.settings",
      "t.owner_account_id",
      "t.created_at",
      "t.updated_at",
      "t.deleted_at",
      "t.erase_after",
      "t.moving",
      "p.id as placement_id",
      "p.server_id",
      "p.database",
      "p.schema",
      "p.isolation",
      "p.version",
      sql<string[]>`array(
        select h.hostname from control.hosts as h where h.tenant_id = t.id order by h.hostname
      )`.as("hosts"),
      sql<Record<string, HostSettings> | null>`(
        select jsonb_object_agg(h.hostname, h.settings) from control.hosts as h
        where h.tenant_id = t.id and h.settings <> '{}'
      )`.as("host_settings"),
    ]);

type TenantRow = Awaited<ReturnType<ReturnType<typeof selectTenants>["executeTakeFirstOrThrow"]>>;

export const toTenant = (row: TenantRow): Tenant => ({
  id: row.id,
  key: row.key,
  slug: row.slug,
  number: Number(row.number),
  name: row.name,
  status: row.status,
  plan: row.plan,
  hosts: row.hosts,
  ...(row.host_settings && { hostSettings: new Map(Object.entries(row.host_settings)) }),
  settings: row.settings,
  ownerAccountId: row.owner_account_id ?? undefined,
  placement: placementOf({ ...row, id: row.placement_id }),
  ...(row.moving !== null && { isMoving: true }),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  ...(row.deleted_at && row.erase_after
    ? { deletion: { deletedAt: row.deleted_at, eraseAt: row.erase_after } }
    : {}),
});

/** The tenant if it has one of the statuses; default: if it is alive (active or suspended). */
export async function findTenant(
  control: Kysely<ControlTables>,
  { by, value }: TenantLookup,
  ...statuses: readonly TenantStatus[]
): Promise<Tenant | undefined> {
  const living = selectTenants(control).where(
    "t.status",
    "in",
    statuses.length > 0 ? statuses : ["active", "suspended"],
  );
  const query =
    by === "host"
      ? living.where(
          sql<boolean>`t.id = (select h.tenant_id from control.hosts as h where h.hostname = ${value})`,
        )
      : living.where(`t.${by}`, "=", value);
  const row = await query.executeTakeFirst();
  return row && toTenant(row);
}
