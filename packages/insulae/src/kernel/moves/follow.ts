/** From the first row that is copied to a target that is nearly up to date, and compared. */
import { clearRows } from "./clear-place.ts";
import { copyTables } from "./copy.ts";
import { beginSnapshot, type MoveEnds } from "./move-ends.ts";
import { MoveRefused } from "./move-errors.ts";
import { changeState } from "./move-record.ts";
import type { MoveTable } from "./move-tables.ts";
import type { Work } from "./move-work.ts";
import { compareAll, countAll, runRound, warmUp } from "./rounds.ts";

/** What both ends have. */
export interface Shape {
  readonly tables: readonly MoveTable[];
  /** The same tables as the target has them. */
  readonly there: ReadonlyMap<string, MoveTable>;
}

/** Copies all rows; what the tenant writes meanwhile is captured. */
export async function copy(ends: MoveEnds, shape: Shape, { held, at, progress, signal }: Work) {
  const began = performance.now();
  await clearRows(ends.target, shape.tables);
  const total = await countAll(ends.source, shape.tables);
  let rows = 0;
  progress({ rows, rows_total: total });
  await copyTables(ends, {
    ...shape,
    check: () => signal.throwIfAborted(),
    onRows: (count, table) => {
      rows += count;
      progress({ rows, table, rows_total: Math.max(rows, total) });
    },
  });
  const ms = Math.round(performance.now() - began);
  await at("copying");
  await changeState(held, "copying", "following", {
    report: {
      tables: shape.tables.length,
      rows,
      copy_ms: ms,
      rows_per_second: Math.round((rows * 1_000) / Math.max(1, ms)),
    },
  });
}

/** A round of so few keys, or so short, is short enough to compare everything, or to cut over. */
const shortRound = {
  toCompare: { keys: 50, ms: 80 },
  toClose: { keys: 12, ms: 50 },
} as const;
/** Besides the last round: locks, the commits, the control plane. */
const fixedPauseMs = 25;
/**
 * Rounds that get no shorter: the tenant writes as fast as its changes are moved. Then a pause that is
 * acceptable is accepted, and after more of them any that is bearable.
 */
const steady = [
  { rounds: 3, pauseMs: 150 },
  { rounds: 30, pauseMs: 1_000 },
] as const;
const mostRounds = 500;

/** Follows the source until little is left, and compares everything while the tenant writes on. */
export async function follow(ends: MoveEnds, shape: Shape, { held, at, progress, signal }: Work) {
  let rounds = 0;
  const untilShort = async (short: { keys: number; ms: number }, compare: boolean) => {
    let shortest = Number.POSITIVE_INFINITY;
    for (let i = 0, same = 0; i < mostRounds; i += 1) {
      signal.throwIfAborted();
      const round = await runRound(ends, { ...shape, compare });
      await round.end();
      rounds += 1;
      const estimated_pause_ms = Math.round(round.ms + fixedPauseMs);
      progress({ rounds, lag_rows: round.keys, estimated_pause_ms });
      if (round.keys <= short.keys || round.ms <= short.ms) return;
      same = round.ms > 0.9 * shortest ? same + 1 : 0;
      shortest = Math.min(shortest, round.ms);
      if (steady.some(({ rounds: n, pauseMs }) => same >= n && estimated_pause_ms <= pauseMs))
        return;
    }
    throw new MoveRefused(tooManyWrites);
  };
  await untilShort(shortRound.toCompare, false);
  await at("following");
  const round = await runRound(ends, shape);
  await beginSnapshot(ends.target);
  const compared = await compareAll(ends, shape.tables).finally(() =>
    ends.target.rows.query("rollback"),
  );
  await round.end();
  await changeState(held, "following", "following", { report: { compared_before: compared.rows } });
  await at("compared");
  await warmUp(ends, shape);
  await untilShort(shortRound.toClose, true);
}

const tooManyWrites =
  "The tenant writes faster than its changes can be moved, so its writers would wait for too long. Move it when it writes less.";
