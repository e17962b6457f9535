/** Takes away what a move leaves behind: the source when its time is over, the target of one undone. */
import type { Provisioning } from "../tenancy/provisioning.ts";
import { forgetChanges, removeFence } from "./fence.ts";
import { asOwner, type MoveEnd, tableName, write } from "./move-ends.ts";
import type { MoveTable } from "./move-tables.ts";

const rowsAtOnce = 5_000;

/** Deletes the tenant's rows, in batches: nobody else waits for a long transaction. */
export async function clearRows(end: MoveEnd, tables: readonly MoveTable[]): Promise<void> {
  for (const { name } of tables) {
    const table = tableName(end, name);
    for (let deleted = rowsAtOnce; deleted === rowsAtOnce; ) {
      const { rowCount } = await write(end, () =>
        end.rows.query(
          `delete from ${table} where ctid = any (array(
             select ctid from ${table} where tenant_id = $1 limit ${rowsAtOnce}))`,
          [end.tenantId],
        ),
      );
      deleted = rowCount ?? 0;
    }
  }
}

/**
 * Clears a place where the tenant does not live: its rows in a pool, or the whole of a place of its own.
 *
 * @param close closes the end's connections, since a database that is connected to can't be dropped
 */
export async function clearPlace(
  end: MoveEnd,
  tables: readonly MoveTable[],
  provisioning: Pick<Provisioning, "retire">,
  close: () => void,
): Promise<void> {
  if (end.place.isolation === "pool") {
    await clearRows(end, tables);
    await removeFence(end, tables);
    return;
  }
  // Without its row the guard refuses every write, until the place is gone.
  await forgetChanges(end);
  await asOwner(end, () =>
    end.fence.query("delete from app.moves where tenant_id = $1 and schema = $2", [
      end.tenantId,
      end.place.schema,
    ]),
  );
  close();
  await provisioning.retire(end.place);
}
