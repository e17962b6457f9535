/** A move as the control plane stores it, and who may work on it. */
import { type Kysely, type Selectable, sql } from "kysely";
import type { TenantId } from "../lib/ids.ts";
import type { MovePlace, MoveProgress, MoveReport, MoveState } from "../model/move.ts";
import type { Placement } from "../model/tenant.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import { placementColumns, placementOf } from "../tenancy/placements.ts";
import { LeaseLost, MoveAborted, MoveRefused } from "./move-errors.ts";

export interface Move {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly kind: "move" | "restore" | "revert";
  readonly state: MoveState;
  readonly source: MovePlace;
  readonly target: MovePlace;
  readonly keepSeconds: number;
  readonly keepUntil: Date | undefined;
  readonly abortWanted: boolean;
  readonly progress: MoveProgress;
  readonly report: MoveReport;
  readonly attempts: number;
  readonly error: string | undefined;
  readonly createdAt: Date;
  readonly stateAt: Date;
}

type Row = Selectable<ControlTables["control.moves"]>;

export const toMove = (row: Row): Move => ({
  id: row.id,
  tenantId: row.tenant_id,
  kind: row.kind,
  state: row.state,
  source: row.source,
  target: row.target,
  keepSeconds: row.keep_seconds,
  keepUntil: row.keep_until ?? undefined,
  abortWanted: row.abort_wanted,
  progress: row.progress,
  report: row.report,
  attempts: row.attempts,
  error: row.error ?? undefined,
  createdAt: row.created_at,
  stateAt: row.state_at,
});

/** There is something to do: what is kept is cleared when its time is over, or the tenant is deleted. */
const isDue = sql<boolean>`m.state not in ('done', 'aborted')
  and (m.lease_until is null or m.lease_until <= now())
  and (m.state <> 'kept' or m.keep_until <= now() or exists (
    select from control.tenants t where t.id = m.tenant_id and t.status = 'deleted'))`;
const leaseSeconds = 3;

/**
 * Makes this process the move's holder. Whoever held it before can change nothing any more, because
 * every change names the epoch.
 *
 * @returns undefined if somebody else holds it, or there is nothing to do
 */
export async function claimMove(
  control: Kysely<ControlTables>,
  id: string,
  holder: string,
): Promise<HeldMove | undefined> {
  const { rows } = await sql<Row>`
    update control.moves as m set holder = ${holder}, epoch = epoch + 1,
      state = case when state = 'kept' then 'clearing' else state end,
      lease_until = now() + make_interval(secs => ${leaseSeconds})
    where id = ${id} and ${isDue}
    returning *`.execute(control);
  const row = rows[0];
  return row && { control, id, epoch: row.epoch, row };
}

export interface UnfinishedMove {
  readonly id: string;
  /** Nobody holds it, and there is something to do. */
  readonly due: boolean;
  /** Its source is kept; nothing else is to be done for now. */
  readonly kept: boolean;
}

/** The moves that have not ended, those that are due first. */
export async function findUnfinished(
  control: Kysely<ControlTables>,
  most: number,
): Promise<readonly UnfinishedMove[]> {
  const { rows } = await sql<UnfinishedMove>`
    select m.id, ${isDue} as due, m.state = 'kept' as kept from control.moves as m
    where m.state not in ('done', 'aborted') order by due desc, m.id limit ${most}`.execute(
    control,
  );
  return rows;
}

/** The numbers of moves that have not ended, by state, for metrics. */
export async function countUnfinished(
  control: Kysely<ControlTables>,
): Promise<[number, { readonly state: MoveState }][]> {
  const { rows } = await sql<{ state: MoveState; count: number }>`
    select state, count(*)::int as count from control.moves
    where state not in ('done', 'aborted') group by state`.execute(control);
  return rows.map(({ state, count }) => [count, { state }]);
}

/** A move that this process holds in this epoch. */
export interface HeldMove {
  readonly control: Kysely<ControlTables>;
  readonly id: string;
  readonly epoch: number;
  readonly row: Row;
}

/** Renews the lease and stores the progress. @throws LeaseLost */
export async function renewLease(
  { control, id, epoch }: HeldMove,
  progress: MoveProgress,
): Promise<{ readonly abortWanted: boolean }> {
  const { rows } = await sql<{ abort_wanted: boolean }>`
    update control.moves set progress = ${JSON.stringify(progress)}::jsonb,
      lease_until = now() + make_interval(secs => ${leaseSeconds})
    where id = ${id} and epoch = ${epoch}
    returning abort_wanted`.execute(control);
  const [row] = rows;
  if (!row) throw new LeaseLost("Another process has taken the move over.");
  return { abortWanted: row.abort_wanted };
}

/** Whether the move was in the state `from`, and is in `to` now. @throws LeaseLost */
export async function changeState(
  held: HeldMove,
  from: MoveState,
  to: MoveState,
  also: { readonly report?: MoveReport; readonly moving?: "following" | "closing" | null } = {},
): Promise<boolean> {
  const { control, id, epoch, row } = held;
  return control.transaction().execute(async (tx) => {
    const { rows } = await sql<{ changed: boolean }>`
      update control.moves as m set
        state = case when m.state = ${from} then ${to} else m.state end,
        state_at = case when m.state = ${from} then now() else m.state_at end,
        report = m.report || ${JSON.stringify(also.report ?? {})}::jsonb,
        error = case when ${to} in ('undoing', 'aborted', 'kept') then m.error end
      from (select state from control.moves where id = ${id} for update) as before
      where m.id = ${id} and m.epoch = ${epoch}
      returning before.state = ${from} as changed`.execute(tx);
    if (!rows[0]) throw new LeaseLost("Another process has taken the move over.");
    if (also.moving !== undefined) {
      await tx
        .updateTable("control.tenants")
        .set({ moving: also.moving })
        .where("id", "=", row.tenant_id)
        .where("moving", "is distinct from", also.moving)
        .execute();
    }
    return rows[0].changed;
  });
}

export const isBeforeSwitch = (state: MoveState): boolean =>
  ["planned", "capturing", "copying", "following", "closing"].includes(state);

/**
 * The one commit point: the tenant is at the target. One statement, so it waits for no connection.
 *
 * @throws LeaseLost, MoveAborted
 */
export async function commitSwitch({ control, id, epoch, row }: HeldMove): Promise<void> {
  const { rows } = await sql<{ tenants: string }>`
    with moved as (
      update control.moves as m set state = 'switched', state_at = now(), error = null,
        keep_until = now() + make_interval(secs => m.keep_seconds)
      where id = ${id} and epoch = ${epoch} and state = 'closing' and not abort_wanted
        and exists (select from control.tenants t
          where t.id = m.tenant_id and t.placement_id = m.from_placement)
      returning tenant_id, from_placement, to_placement
    ), switched as (
      update control.tenants as t set placement_id = moved.to_placement, moving = null
      from moved where t.id = moved.tenant_id and t.placement_id = moved.from_placement
      returning t.id
    ), marked as (
      -- Jobs in the outbox that was moved are looked for: see kernel/jobs/outbox.ts.
      insert into control.outbox_marks (tenant_id, node, until)
      select id, ${id}::uuid, now() from switched
      on conflict (tenant_id, node) do update set until = excluded.until
    )
    select count(*) as tenants from switched`.execute(control);
  if (rows[0]?.tenants === "1") return;
  const now = await control
    .selectFrom("control.moves")
    .select(["epoch", "abort_wanted"])
    .where("id", "=", row.id)
    .executeTakeFirst();
  if (now?.epoch === epoch && now.abort_wanted) throw new MoveAborted("The move was aborted.");
  throw new LeaseLost("Another process has taken the move over.");
}

/** Begins to undo the move, if it has not switched. @returns whether it is being undone */
export async function undoMove(
  control: Kysely<ControlTables>,
  { id, epoch }: HeldMove,
  error: string,
): Promise<boolean> {
  const { rows } = await sql`
    update control.moves set state = 'undoing', state_at = now(), error = ${error},
      holder = null, lease_until = now(), attempts = 0
    where id = ${id} and epoch = ${epoch}
      and state in ('planned', 'capturing', 'copying', 'following', 'closing')
    returning id`.execute(control);
  return rows.length > 0;
}

/** Stores where the move leads. @throws LeaseLost, MoveRefused if it leads where the tenant is */
export async function noteTarget(
  { control, id, epoch, row }: HeldMove,
  placement: Placement,
): Promise<void> {
  if (placement.id === row.from_placement) {
    throw new MoveRefused("The tenant is placed there already.");
  }
  const { database, schema } = placement;
  const { rows } = await sql`
    update control.moves set to_placement = ${placement.id},
      target = target || ${JSON.stringify({ database, schema })}::jsonb
    where id = ${id} and epoch = ${epoch} returning id`.execute(control);
  if (rows.length === 0) throw new LeaseLost("Another process has taken the move over.");
}

/** The source is not cleared by itself. */
export async function keepForever({ control, id, epoch }: HeldMove, error: string): Promise<void> {
  await sql`
    update control.moves set keep_until = null, error = ${error}
    where id = ${id} and epoch = ${epoch}`.execute(control);
}

/** @throws Error if the tenant lives at this place */
export async function assertElsewhere(
  { control, row }: HeldMove,
  placementId: string,
): Promise<void> {
  const tenant = await control
    .selectFrom("control.tenants")
    .select("placement_id")
    .where("id", "=", row.tenant_id)
    .executeTakeFirst();
  if (tenant?.placement_id === placementId) {
    throw new Error("the tenant lives at the place that was to be cleared");
  }
}

/** Gives the move back, for the next attempt in so many seconds. */
export async function releaseMove(
  { control, id, epoch }: HeldMove,
  error: string | undefined,
  inSeconds: number,
): Promise<void> {
  await sql`
    update control.moves set holder = null, error = coalesce(${error ?? null}, error),
      attempts = case when ${error ?? null}::text is null then 0 else attempts + 1 end,
      lease_until = now() + make_interval(secs => ${inSeconds})
    where id = ${id} and epoch = ${epoch}`.execute(control);
}

/** @throws Error if the placement has gone */
export async function placementById(
  control: Kysely<ControlTables>,
  id: string,
): Promise<Placement> {
  const row = await control
    .selectFrom("control.placements")
    .select(placementColumns)
    .where("id", "=", id)
    .executeTakeFirst();
  if (!row) throw new Error(`the placement ${id} does not exist any more`);
  return placementOf(row);
}
