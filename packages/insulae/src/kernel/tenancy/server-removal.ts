/** Removes a server from the list. */
import { type Kysely, sql } from "kysely";
import { type AppError, defineError } from "../lib/errors.ts";
import type { ControlTables } from "../schema/control-tables.ts";

export const serverInUse = defineError(
  "server_in_use",
  409,
  "Tenants are placed on the server. Delete them first.",
);

/**
 * Deletes the rows of the server and its placements.
 *
 * @param lost give up the rows of deleted tenants on it
 * @returns the number of such tenants
 * @throws serverInUse
 */
export async function forgetServer(
  control: Kysely<ControlTables>,
  id: string,
  lost: boolean,
): Promise<number> {
  return control.transaction().execute(async (tx) => {
    // Lock it, so that nobody is placed on it meanwhile.
    await tx.selectFrom("control.servers").select("id").where("id", "=", id).forUpdate().execute();
    const given = lost ? await giveUp(tx, id) : 0;
    const left = await placedOn(tx, id, lost);
    if (left.all > 0) throw inUse(left, lost);
    await tx.deleteFrom("control.placements").where("server_id", "=", id).execute();
    await tx.deleteFrom("control.servers").where("id", "=", id).execute();
    return given;
  });
}

interface Placed {
  readonly all: number;
  readonly deleted: number;
}

/** @param lost don't count places without a living tenant */
async function placedOn(tx: Kysely<ControlTables>, id: string, lost: boolean): Promise<Placed> {
  const placed = await tx
    .selectFrom("control.placements as p")
    .leftJoin("control.tenants as t", "t.placement_id", "p.id")
    .where("p.server_id", "=", id)
    .where((eb) =>
      eb.or([
        ...(lost ? [] : [eb("p.isolation", "<>", "pool"), isMovedFromOrTo]),
        eb("t.id", "is not", null),
      ]),
    )
    .select(({ fn }) => [
      fn.countAll<string>().as("all"),
      sql<string>`count(*) filter (where t.status = 'deleted')`.as("deleted"),
    ])
    .executeTakeFirstOrThrow();
  return { all: Number(placed.all), deleted: Number(placed.deleted) };
}

const isMovedFromOrTo = sql<boolean>`exists (select from control.moves m
  where m.state not in ('done', 'aborted') and p.id in (m.from_placement, m.to_placement))`;

/**
 * Detaches deleted tenants, and those whose creation was interrupted, from the server. The rest of
 * their data is erased when it is due.
 */
async function giveUp(tx: Kysely<ControlTables>, id: string): Promise<number> {
  const { numUpdatedRows } = await tx
    .updateTable("control.tenants")
    .set({ placement_id: null })
    .where(
      sql<boolean>`(status = 'deleted'
        or status = 'provisioning' and created_at < now() - interval '15 minutes')`,
    )
    .where("placement_id", "in", (eb) =>
      eb.selectFrom("control.placements").select("id").where("server_id", "=", id),
    )
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

function inUse({ all, deleted }: Placed, lost: boolean): AppError {
  const ofThem =
    deleted > 0 ? `, of which ${deleted} deleted and not erased yet (DELETED_TENANT_DAYS)` : "";
  const remedy = lost ? "Delete them first." : "Delete them, or wait until they are erased.";
  return serverInUse({
    detail: `Tenants on the server: ${all}${ofThem}. ${remedy}`,
    members: { tenants: all, deleted },
  });
}
