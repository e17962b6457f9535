/**
 * The mover: takes one move from its state to the next, until it is kept, done or aborted.
 *
 * Only `control.moves` says how far a move is, and only the mover with its newest epoch may change
 * that. A mover that begins in the middle, because another one died, decides nothing: before `switched`
 * the source is right and is opened again; after it, the target is.
 */
import { randomUUID } from "node:crypto";
import type { Kysely } from "kysely";
import type { WriteAudit } from "../audit/audit.ts";
import type { Connect } from "../engine/connect.ts";
import type { TenantId } from "../lib/ids.ts";
import { beginning } from "../lib/text.ts";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Provisioning } from "../tenancy/provisioning.ts";
import { clearPlace } from "./clear-place.ts";
import { type CutOver, cutOver } from "./cut-over.ts";
import { openFence, refreshFence, removeFence, reopenFence, setFence } from "./fence.ts";
import { copy, follow, type Shape } from "./follow.ts";
import { assertCanReplicate, type MoveEnds, openMoveEnd, openMoveEnds } from "./move-ends.ts";
import { LeaseLost, MoveAborted, MoveRefused, RowsDiffer } from "./move-errors.ts";
import {
  assertElsewhere,
  changeState,
  claimMove,
  commitSwitch,
  type HeldMove,
  keepForever,
  noteTarget,
  placementById,
  releaseMove,
  undoMove,
} from "./move-record.ts";
import { assertMovable, findMoveTables, type MoveTable } from "./move-tables.ts";
import { beginWork, type Work } from "./move-work.ts";

export interface MoverOptions {
  readonly control: Kysely<ControlTables>;
  readonly connect: Connect;
  readonly provisioning: Pick<Provisioning, "place" | "retire">;
  /** Forgets the tenant in this process's caches. */
  readonly forget: (id: TenantId) => void;
  readonly audit: WriteAudit;
  readonly log: Logger;
  readonly onSwitched?: (pauseMs: number) => void;
  readonly onEnd?: (result: "done" | "aborted") => void;
  /** For tests: called at each step; throws to end the mover there. */
  readonly at?: ((step: string) => Promise<void> | void) | undefined;
}

export interface Mover {
  /**
   * Works on the move until it needs nothing more for now: it is kept, done or aborted, or has failed
   * and is to be tried again later, by whoever claims it then.
   *
   * @returns whether this process had the move
   */
  run(id: string, signal?: AbortSignal): Promise<boolean>;
}

export function createMover(options: MoverOptions): Mover {
  const holder = randomUUID();
  return {
    async run(id, signal) {
      for (let had = false; ; had = true) {
        if (signal?.aborted) return had;
        const held = await claimMove(options.control, id, holder);
        if (!held) return had;
        const { work, stop } = beginWork(held, signal, options.at);
        try {
          await advance(options, work);
          await releaseMove(held, undefined, 0);
        } catch (error) {
          await fail(options, work, error);
        } finally {
          await stop();
        }
      }
    },
  };
}

const attemptsBeforeUndo = 5;

async function fail({ log, control }: MoverOptions, work: Work, thrown: unknown): Promise<void> {
  const { held, signal } = work;
  // A connection that was closed because of the signal has its own words for it.
  const error = signal.aborted ? signal.reason : thrown;
  const { id, attempts, tenant_id } = held.row;
  const message = beginning(error instanceof Error ? error.message : String(error), 1_000);
  const about = { err: error, move: id, tenant_id };
  if (error instanceof LeaseLost) return void log.warn(about, "Another mover has this move");
  const isFinal =
    error instanceof MoveAborted || error instanceof MoveRefused || error instanceof RowsDiffer;
  try {
    if (isFinal || attempts + 1 >= attemptsBeforeUndo) {
      if (await undoMove(control, held, message)) {
        return void log.warn(about, "A move is being undone");
      }
    }
    const isStopping = signal.aborted && !isFinal;
    await releaseMove(held, isStopping ? undefined : message, isStopping ? 0 : backoff(attempts));
    if (!isStopping) log.error(about, "A move failed; will retry");
  } catch (cause) {
    log.error({ ...about, cause }, "A move failed; its lease will run out");
  }
}

/** At first at once: its writers may be waiting. */
const backoff = (attempts: number): number => (attempts === 0 ? 0 : Math.min(30, 2 ** attempts));

async function advance(options: MoverOptions, work: Work): Promise<void> {
  switch (work.held.row.state) {
    case "planned":
      return plan(options, work);
    case "capturing":
    case "copying":
    case "following":
    case "closing":
      return carry(options, work);
    case "switched":
      return settleAgain(options, work);
    case "clearing":
      return clearSource(options, work);
    case "undoing":
      return undo(options, work);
    case "kept":
    case "done":
    case "aborted":
  }
}

/** Provides the target. */
async function plan({ provisioning }: MoverOptions, { held, at }: Work): Promise<void> {
  const { tenant_id, to_placement, target } = held.row;
  if (to_placement === null) {
    const { isolation, server } = target;
    const placement = await provisioning.place(tenant_id, { isolation, server });
    await noteTarget(held, placement);
  }
  await at("planned");
  await changeState(held, "planned", "capturing", { moving: "following" });
}

async function withEnds<Result>(
  { control, connect }: MoverOptions,
  { held, signal }: Work,
  fn: (ends: MoveEnds, shape: Shape) => Promise<Result>,
): Promise<Result> {
  const { id, tenant_id, from_placement, to_placement } = held.row;
  const source = await placementById(control, from_placement);
  const target = await placementById(control, to_placement ?? "");
  if (source.version !== target.version) {
    throw new MoveRefused(
      "The source and the target have not the same migrations. Run `insulae migrate up`, then try again.",
    );
  }
  const ends = await openMoveEnds(connect, { id, tenantId: tenant_id, source, target });
  // Ends what is running; the mover's locks go with the connections.
  const close = () => ends.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    signal.throwIfAborted();
    const tables = await findMoveTables(ends.source.fence, source.schema);
    const there = await findMoveTables(ends.target.fence, target.schema);
    assertMovable({ schema: source.schema, tables }, { schema: target.schema, tables: there });
    await assertCanReplicate(ends.target);
    return await fn(ends, { tables, there: new Map(there.map((each) => [each.name, each])) });
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

const holderOf = ({ id, epoch }: HeldMove) => ({ moveId: id, epoch });

/** From the first captured key to the cut-over and the comparison after it. */
const carry = (options: MoverOptions, work: Work): Promise<void> =>
  withEnds(options, work, async (ends, shape) => {
    const { held, at } = work;
    const { state } = held.row;
    const { tables } = shape;
    await changeState(held, "closing", "following", { moving: "following" });
    const isCopied = state === "following" || state === "closing";
    await openFence(ends.source, tables, holderOf(held), !isCopied);
    await changeState(held, "capturing", "copying");
    await at("captured");
    if (!isCopied) await copy(ends, shape, work);
    await follow(ends, shape, work);
    await changeState(held, "following", "closing", { moving: "closing" });
    await at("closing");
    const cut = await close(options, ends, shape, work);
    await settle(options, ends, shape, work, cut);
  });

async function close(
  { forget, onSwitched }: MoverOptions,
  ends: MoveEnds,
  shape: Shape,
  { held, at, signal }: Work,
): Promise<CutOver> {
  try {
    const cut = await cutOver(ends, {
      ...shape,
      holder: holderOf(held),
      check: () => signal.throwIfAborted(),
      at,
      commit: async () => {
        await commitSwitch(held);
        forget(held.row.tenant_id);
      },
    });
    onSwitched?.(cut.pauseMs);
    return cut;
  } catch (error) {
    // Whether it has been committed is for the control plane to say.
    if (await changeState(held, "closing", "following", { moving: "following" })) {
      await setFence(ends.source, "open", holderOf(held));
    }
    throw error;
  }
}

/** Compares both places as they were at the cut-over, and leaves the source behind its fence. */
async function settle(
  { log, audit }: MoverOptions,
  ends: MoveEnds,
  { tables }: Shape,
  { held, at }: Work,
  { pauseMs, parts, attempts, keys, verify }: CutOver,
): Promise<void> {
  let compared: number | undefined;
  try {
    compared = (await verify()).rows;
  } catch (error) {
    if (!(error instanceof RowsDiffer)) throw error;
    // Nobody may clear the source before somebody has looked.
    await keepForever(held, error.message);
    log.error({ err: error, move: held.id }, "A moved tenant's rows differ from its source's");
  }
  await leaveSource(ends, tables);
  await at("settled");
  const { tenant_id: id, source, target } = held.row;
  const detail = { move: held.id, source, target, pause_ms: pauseMs };
  await audit({ action: "tenant.moved", target: { type: "tenant", id }, detail });
  await changeState(held, "switched", "kept", {
    report: {
      pause_ms: pauseMs,
      ...parts,
      lock_attempts: attempts,
      moved_in_pause: keys,
      ...(compared !== undefined && { compared_at_cut_over: compared }),
    },
  });
}

/** The source takes no writes and captures nothing; the target needs no fence. */
async function leaveSource({ source, target }: MoveEnds, tables: readonly MoveTable[]) {
  await refreshFence(source, tables);
  await removeFence(target, tables);
}

/** After a mover that died behind the commit point. What the places were at the cut-over is not known any more. */
const settleAgain = (options: MoverOptions, work: Work): Promise<void> =>
  withEnds(options, work, async (ends, { tables }) => {
    const { held } = work;
    await reopenFence(ends.target, holderOf(held));
    await setFence(ends.source, "closed", holderOf(held));
    await leaveSource(ends, tables);
    const { tenant_id: id, source, target } = held.row;
    const detail = { move: held.id, source, target };
    await options.audit({ action: "tenant.moved", target: { type: "tenant", id }, detail });
    await changeState(held, "switched", "kept");
  });

/** @param placementId a place that the tenant does not live at */
async function clear(options: MoverOptions, { held }: Work, placementId: string): Promise<void> {
  const { control, connect, provisioning } = options;
  await assertElsewhere(held, placementId);
  const place = await placementById(control, placementId).catch(() => undefined);
  if (!place) return;
  const end = await openMoveEnd(connect, held.row, place);
  try {
    const tables = await findMoveTables(end.fence, place.schema);
    await clearPlace(end, tables, provisioning, end.close);
  } finally {
    end.close();
  }
}

async function clearSource(options: MoverOptions, work: Work): Promise<void> {
  await clear(options, work, work.held.row.from_placement);
  await work.at("clearing");
  await changeState(work.held, "clearing", "done");
  options.onEnd?.("done");
}

/** The source first: the tenant lives there. */
async function undo(options: MoverOptions, work: Work): Promise<void> {
  const { control, connect, audit, onEnd } = options;
  const { held } = work;
  const { tenant_id: id, from_placement, to_placement, error } = held.row;
  const place = await placementById(control, from_placement);
  const source = await openMoveEnd(connect, held.row, place);
  try {
    await reopenFence(source, holderOf(held));
    await removeFence(source, await findMoveTables(source.fence, place.schema));
  } finally {
    source.close();
  }
  if (to_placement !== null) await clear(options, work, to_placement);
  const detail = { move: held.id, reason: error };
  await audit({
    action: "tenant.moved",
    outcome: "failed",
    target: { type: "tenant", id },
    detail,
  });
  await changeState(held, "undoing", "aborted", { moving: null });
  onEnd?.("aborted");
}
