import type { Kysely, Selectable } from "kysely";
import { defineError } from "../lib/errors.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Placement } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { schemaRole } from "../schema/roles.ts";

/** A placement as stored in the control plane. */
export const placementColumns = [
  "id",
  "server_id",
  "database",
  "schema",
  "isolation",
  "version",
] as const;

export const placementOf = (
  row: Pick<Selectable<ControlTables["control.placements"]>, (typeof placementColumns)[number]>,
): Placement => ({
  id: row.id,
  serverId: row.server_id,
  database: row.database,
  schema: row.schema,
  isolation: row.isolation,
  role: row.isolation === "schema" ? schemaRole(row.database, row.schema) : undefined,
  version: row.version,
});

export const placementNameInvalid = defineError(
  "placement_name_invalid",
  400,
  "This name cannot be used for a database or schema. Use at most 63 characters: a-z and, except at the start, 0-9 and _. Reserved names are refused.",
);
export const placementNameTaken = defineError(
  "placement_name_taken",
  409,
  "A database or schema with this name already exists. Choose another.",
);

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const reserved =
  /^(postgres|template[0-9]*|pg_.*|insulae.*|information_schema|public|data|app|control|t_[0-9a-f]{32})$/;

/**
 * The name of a tenant's database or schema. It comes from the id, which is never reused, not from
 * the key.
 */
export function physicalName(tenantId: TenantId): string {
  if (!uuid.test(tenantId)) throw placementNameInvalid();
  return `t_${tenantId.replaceAll("-", "")}`;
}

/**
 * Validates a chosen name, such as `tenant_acme_corp`: letters, digits and underscores, at most 63
 * bytes (PostgreSQL would truncate longer ones, and two names could collide), not reserved.
 *
 * @throws AppError 400 `placement_name_invalid`
 */
export function chosenName(name: string, mainDatabase: string): string {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name) || reserved.test(name) || name === mainDatabase) {
    throw placementNameInvalid();
  }
  return name;
}

/** A placement identified by its location, whether or not it has a row. */
export type Place = Pick<Placement, "serverId" | "database" | "schema" | "isolation">;

export async function findPlacement(
  control: Kysely<ControlTables>,
  place: Place,
): Promise<Placement | undefined> {
  const row = await control
    .selectFrom("control.placements")
    .select(placementColumns)
    .where("server_id", "=", place.serverId)
    .where("database", "=", place.database)
    .where("schema", "=", place.schema)
    .executeTakeFirst();
  return row && placementOf(row);
}

export async function writePlacement(
  control: Kysely<ControlTables>,
  place: Place,
  version: number,
): Promise<Placement> {
  const row = await control
    .insertInto("control.placements")
    .values({
      server_id: place.serverId,
      database: place.database,
      schema: place.schema,
      isolation: place.isolation,
      version,
    })
    .onConflict((conflict) => conflict.columns(["server_id", "database", "schema"]).doNothing())
    .returning(placementColumns)
    .executeTakeFirst();
  if (row) return placementOf(row);
  const existing = await findPlacement(control, place);
  if (!existing) throw new Error("a placement was removed while it was being stored");
  return existing;
}

/** Deletes the placement's row and the tenant's reference to it. */
export async function deletePlacement(control: Kysely<ControlTables>, place: Place): Promise<void> {
  const placement = await findPlacement(control, place);
  if (!placement) return;
  await control.transaction().execute(async (tx) => {
    await tx
      .updateTable("control.tenants")
      .set({ placement_id: null })
      .where("placement_id", "=", placement.id)
      .execute();
    await tx.deleteFrom("control.placements").where("id", "=", placement.id).execute();
  });
}

/** Stores the number of migrations that the placement has. */
export async function writeVersion(
  control: Kysely<ControlTables>,
  { id }: Pick<Placement, "id">,
  version: number,
): Promise<void> {
  await control.updateTable("control.placements").set({ version }).where("id", "=", id).execute();
}
