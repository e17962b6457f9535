/** Moves of tenants: what is asked for, and how far it is. A mover does the work (`mover.ts`). */
import { type Kysely, sql } from "kysely";
import { type Connect, withOwnerOnce } from "../engine/connect.ts";
import { defineError } from "../lib/errors.ts";
import type { TenantId } from "../lib/ids.ts";
import type { MovePlace } from "../model/move.ts";
import type { Isolation, Placement, Tenant } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { moveUnderWay, tenantNotFound } from "../tenancy/errors.ts";
import type { Servers } from "../tenancy/servers.ts";
import { findTenant } from "../tenancy/tenant-queries.ts";
import { type Move, placementById, toMove } from "./move-record.ts";
import { findMoveTables } from "./move-tables.ts";
import { countAll } from "./rounds.ts";

export const moveNotFound = defineError("move_not_found", 404, "This move does not exist");
export const placedThere = defineError(
  "tenant_placed_there",
  409,
  "The tenant is placed there already. Name another isolation or server.",
);
export const moveNotAbortable = defineError(
  "move_not_abortable",
  409,
  "The move is past its cut-over, or has ended. Use revert to bring the tenant back.",
);
export const nothingToRevert = defineError(
  "nothing_to_revert",
  409,
  "No earlier place of the tenant is kept. Start a move instead.",
);

/** The source stays behind its fence for a day. */
export const defaultKeepSeconds = 86_400;
export const mostKeepHours = 720;
/** Longer than any node believes in a placement. */
const leastKeepSeconds = 120;

export interface NewMove {
  readonly isolation: Isolation;
  /** The id or name of a server; default: the tenant's own. */
  readonly server?: string | undefined;
  /** How long the source is kept; default a day, at least two minutes. */
  readonly keepSeconds?: number | undefined;
}

export interface MovePlan {
  readonly source: MovePlace;
  readonly target: MovePlace;
  readonly tables: number;
  readonly rows: number;
}

export interface Moves {
  /** What the move would be; changes nothing. @throws the errors of `start` */
  plan(id: TenantId, wanted: NewMove): Promise<MovePlan>;
  /**
   * Stores the move; a node begins it within a second.
   *
   * @throws tenantNotFound, serverNotFound, placedThere, moveUnderWay
   */
  start(id: TenantId, wanted: NewMove): Promise<Move>;
  /** Moves the tenant back to the place that is kept. @throws nothingToRevert, moveUnderWay */
  revert(id: TenantId): Promise<Move>;
  /** Undoes a move that has not cut over. @throws moveNotFound, moveNotAbortable */
  abort(id: string): Promise<Move>;
  /** Clears a kept source now. @throws moveNotFound, nothingToRevert */
  release(id: string): Promise<Move>;
  /** @throws moveNotFound */
  get(id: string): Promise<Move>;
  /** The newest first. */
  list(page: {
    readonly tenant?: TenantId | undefined;
    readonly before?: string | undefined;
    readonly limit: number;
  }): Promise<readonly Move[]>;
}

export interface MovesOptions {
  readonly control: Kysely<ControlTables>;
  readonly connect: Connect;
  readonly servers: Pick<Servers, "idOf" | "nameOf">;
}

export function createMoves({ control, connect, servers }: MovesOptions): Moves {
  const placeOf = ({ serverId, isolation, database, schema }: Placement): MovePlace => ({
    server: servers.nameOf(serverId),
    isolation,
    database,
    schema,
  });

  const livingTenant = async (id: TenantId): Promise<Tenant> => {
    const tenant = await findTenant(control, { by: "id", value: id });
    if (!tenant) throw tenantNotFound();
    return tenant;
  };

  const plan = async (id: TenantId, { isolation, server }: NewMove) => {
    const { placement } = await livingTenant(id);
    const serverId = server === undefined ? placement.serverId : await servers.idOf(server);
    if (serverId === placement.serverId && isolation === placement.isolation) throw placedThere();
    await refuseUnderWay(id);
    const source = placeOf(placement);
    return { placement, source, target: { server: servers.nameOf(serverId), isolation } };
  };

  const refuseUnderWay = async (id: TenantId): Promise<void> => {
    const found = await control
      .selectFrom("control.moves")
      .select(["id", "state"])
      .where("tenant_id", "=", id)
      .where("state", "not in", ["done", "aborted"])
      .executeTakeFirst();
    if (found) throw moveUnderWay({ members: { move: found.id, state: found.state } });
  };

  const get = async (id: string): Promise<Move> => {
    const row = await control
      .selectFrom("control.moves")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirst();
    if (!row) throw moveNotFound();
    return toMove(row);
  };

  return {
    plan: async (id, wanted) => {
      const { placement, source, target } = await plan(id, wanted);
      return withOwnerOnce(connect, placement, async (client) => {
        const tables = await findMoveTables(client, placement.schema);
        const rows = await countAll({ tenantId: id, place: placement, rows: client }, tables);
        return { source, target, tables: tables.length, rows };
      });
    },
    async start(id, wanted) {
      const { placement, source, target } = await plan(id, wanted);
      const { keepSeconds = defaultKeepSeconds } = wanted;
      return insertMove(control, {
        tenant: id,
        kind: "move",
        source,
        target,
        from: placement.id,
        keepSeconds,
      });
    },
    async revert(id) {
      const { placement } = await livingTenant(id);
      const kept = await control
        .selectFrom("control.moves")
        .selectAll()
        .where("tenant_id", "=", id)
        .where("state", "=", "kept")
        .executeTakeFirst();
      if (kept?.to_placement !== placement.id) throw nothingToRevert();
      const place = await placementById(control, kept.from_placement);
      return control.transaction().execute(async (tx) => {
        // The revert ends both: the place that it leaves is kept, and cleared when its time is over.
        const { numUpdatedRows } = await tx
          .updateTable("control.moves")
          .set({ state: "done", keep_until: null })
          .where("id", "=", kept.id)
          .where("state", "=", "kept")
          .executeTakeFirst();
        if (numUpdatedRows === 0n) throw nothingToRevert();
        return insertMove(tx, {
          tenant: id,
          kind: "revert",
          source: placeOf(placement),
          target: placeOf(place),
          from: placement.id,
          to: place.id,
          keepSeconds: kept.keep_seconds,
        });
      });
    },
    async abort(id) {
      const { rows } = await sql`
        update control.moves set abort_wanted = true
        where id = ${id} and state in ('planned', 'capturing', 'copying', 'following', 'closing', 'undoing')
        returning id`.execute(control);
      const move = await get(id);
      if (rows.length === 0) throw moveNotAbortable();
      return move;
    },
    async release(id) {
      const move = await get(id);
      const { numUpdatedRows } = await control
        .updateTable("control.moves")
        .set({ state: "clearing" })
        .where("id", "=", id)
        .where("state", "=", "kept")
        .executeTakeFirst();
      if (numUpdatedRows === 0n) throw nothingToRevert({ members: { state: move.state } });
      return get(id);
    },
    get,
    async list({ tenant, before, limit }) {
      let query = control
        .selectFrom("control.moves")
        .selectAll()
        .orderBy("id", "desc")
        .limit(limit);
      if (tenant !== undefined) query = query.where("tenant_id", "=", tenant);
      if (before !== undefined) query = query.where("id", "<", before);
      return (await query.execute()).map(toMove);
    },
  };
}

interface StoredMove {
  readonly tenant: TenantId;
  readonly kind: "move" | "revert";
  readonly source: MovePlace;
  readonly target: MovePlace;
  readonly from: string;
  readonly to?: string;
  readonly keepSeconds: number;
}

/** @throws moveUnderWay if the tenant has a move that has not ended */
async function insertMove(control: Kysely<ControlTables>, values: StoredMove): Promise<Move> {
  const row = await control
    .insertInto("control.moves")
    .values({
      tenant_id: values.tenant,
      kind: values.kind,
      from_placement: values.from,
      to_placement: values.to ?? null,
      source: JSON.stringify(values.source),
      target: JSON.stringify(values.target),
      keep_seconds: Math.max(values.keepSeconds, leastKeepSeconds),
      holder: null,
      error: null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw moveUnderWay();
  return toMove(row);
}
