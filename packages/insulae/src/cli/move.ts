import { setTimeout as sleep } from "node:timers/promises";
import type { Services } from "../app/services.ts";
import { CommandError } from "../doctor/failure.ts";
import { viewOfMove } from "../features/moves/moves.feature.ts";
import { timeText } from "../kernel/lib/times.ts";
import type { MovePlace } from "../kernel/model/move.ts";
import type { Isolation } from "../kernel/model/tenant.ts";
import type { Move } from "../kernel/moves/move-record.ts";
import type { CommandContext, Result } from "./command.ts";
import { cliActor, withServices } from "./open.ts";
import { createProgress } from "./progress.ts";
import { properties, table } from "./table.ts";

export interface MoveOptions {
  readonly isolation: Isolation;
  readonly server?: string;
  readonly keepHours?: number;
  readonly dryRun: boolean;
}

const placeText = ({ isolation, server, database, schema }: MovePlace): string =>
  [`${isolation} on ${server}`, database && `database ${database}`, schema && `schema ${schema}`]
    .filter(Boolean)
    .join(", ");

const figure = (value: number | undefined, unit = ""): string =>
  value === undefined ? "\u2013" : `${value}${unit}`;

const textOf = ({ source, target, state, report, keepUntil, error, ...move }: Move): string =>
  properties({
    move: move.id,
    state,
    from: placeText(source),
    to: placeText(target),
    rows: figure(report.rows),
    "rows per second": figure(report.rows_per_second),
    "compared before": figure(report.compared_before, " rows"),
    "compared at cut-over": figure(report.compared_at_cut_over, " rows"),
    pause: figure(report.pause_ms, " ms"),
    "kept until": keepUntil ? timeText(keepUntil) : "\u2013",
    ...(error !== undefined && { error }),
  });

export const moveTenant = (
  context: CommandContext,
  reference: string,
  { isolation, server, keepHours, dryRun }: MoveOptions,
): Promise<Result> =>
  withServices(context, dryRun ? "look" : "change", async (services) => {
    const { platform } = services;
    const { id } = await platform.tenants.get(reference);
    const keepSeconds = keepHours === undefined ? undefined : keepHours * 3_600;
    const wanted = { isolation, server, keepSeconds };
    if (dryRun) {
      const plan = await platform.moves.plan(id, wanted);
      const { source, target, tables, rows } = plan;
      const text = properties({ from: placeText(source), to: placeText(target), tables, rows });
      return { document: plan, text };
    }
    const move = await platform.moves.start(id, wanted);
    await note(platform, "tenant.move_started", move);
    return follow(context, services, move);
  });

export const revertMove = (context: CommandContext, reference: string): Promise<Result> =>
  withServices(context, "change", async (services) => {
    const { platform } = services;
    const move = await platform.moves.revert((await platform.tenants.get(reference)).id);
    await note(platform, "tenant.move_reverted", move);
    return follow(context, services, move);
  });

export const abortMove = (context: CommandContext, reference: string): Promise<Result> =>
  withServices(context, "change", async (services) => {
    const { platform } = services;
    const { id } = await platform.tenants.get(reference);
    const [last] = await platform.moves.list({ tenant: id, limit: 1 });
    if (!last) throw new CommandError("move_not_found", "The tenant has no move to abort.");
    await note(platform, "tenant.move_aborted", await platform.moves.abort(last.id));
    const move = await work(services, last.id, () => {});
    return { document: viewOfMove(move), text: textOf(move) };
  });

export const listMoves = (
  context: CommandContext,
  reference: string | undefined,
  limit: number,
): Promise<Result> =>
  withServices(context, "look", async ({ platform: { moves, tenants } }) => {
    const tenant = reference === undefined ? undefined : (await tenants.get(reference)).id;
    const found = await moves.list({ tenant, limit });
    const rows = found.map((move) => [
      ...[move.id, move.tenantId, move.kind, move.state],
      `${move.source.isolation} on ${move.source.server}`,
      `${move.target.isolation} on ${move.target.server}`,
      timeText(move.createdAt),
    ]);
    const heads = ["MOVE", "TENANT", "KIND", "STATE", "FROM", "TO", "STARTED"];
    return {
      document: { items: found.map(viewOfMove) },
      text: found.length === 0 ? "There are no moves." : table(heads, rows),
    };
  });

const note = (
  { audit }: Services["platform"],
  action: `tenant.${string}`,
  { id, tenantId, source, target }: Move,
) =>
  audit({
    action,
    actor: cliActor(),
    target: { type: "tenant", id: tenantId },
    detail: { move: id, source, target },
  });

/** Moves the tenant in this process, unless a node is quicker, and shows the progress. */
async function follow(context: CommandContext, services: Services, { id }: Move): Promise<Result> {
  const bar = createProgress("Rows");
  let state = "";
  const move = await work(services, id, (now) => {
    if (now.state !== state) {
      state = now.state;
      bar.line(phases[now.state]);
    }
    const { rows, rows_total: total } = now.progress;
    if (now.state === "copying" && rows !== undefined) bar.update(rows, total ?? rows);
  }).finally(() => bar.end());
  if (move.state === "aborted") {
    throw new CommandError(
      "move_undone",
      `The tenant was not moved, and is where it was. ${move.error ?? ""}`.trim(),
    );
  }
  if (!context.json) context.note(`To go back: insulae tenant revert ${move.tenantId}`);
  return { document: viewOfMove(move), text: textOf(move) };
}

const phases: Readonly<Record<Move["state"], string>> = {
  planned: "Preparing the target …",
  capturing: "Beginning to follow the tenant's writes …",
  copying: "Copying …",
  following: "Following what is written meanwhile, and comparing …",
  closing: "Cutting over …",
  switched: "The tenant is at its new place. Comparing once more …",
  kept: "Moved. The source is kept behind its fence.",
  clearing: "Deleting the source …",
  undoing: "Undoing the move …",
  done: "Done.",
  aborted: "The move was undone.",
};

const rests = new Set(["kept", "done", "aborted"]);
const everyMs = 300;

/** Works on the move, and waits for whoever else does, until it rests. */
async function work(
  { mover, platform: { moves } }: Services,
  id: string,
  show: (move: Move) => void,
): Promise<Move> {
  let running: Promise<unknown> | undefined;
  for (;;) {
    const move = await moves.get(id);
    show(move);
    if (rests.has(move.state)) {
      await running;
      return move;
    }
    running ??= mover.run(id).finally(() => {
      running = undefined;
    });
    await Promise.race([running, sleep(everyMs)]);
    if (running === undefined) await sleep(everyMs);
  }
}
