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

/** When a round is short enough to go on; both are tried for so many rounds. */
const shortRound = {
  toCompare: { keys: 50, ms: 80, rounds: 50 },
  toClose: { keys: 12, ms: 50, rounds: 50 },
} as const;
/** Besides the last round: locks, the commits, the control plane. */
const fixedPauseMs = 25;
/** A tenant whose writers would wait longer isn't moved now. */
const longestPauseMs = 1_000;

/** Follows the source until little is left, and compares everything while the tenant writes on. */
export async function follow(ends: MoveEnds, shape: Shape, { held, at, progress, signal }: Work) {
  let rounds = 0;
  const untilShort = async (
    short: (typeof shortRound)[keyof typeof shortRound],
    compare: boolean,
  ) => {
    for (let i = 1; ; i += 1) {
      signal.throwIfAborted();
      const round = await runRound(ends, { ...shape, compare });
      await round.end();
      rounds += 1;
      const estimated_pause_ms = Math.round(round.ms + fixedPauseMs);
      progress({ rounds, lag_rows: round.keys, estimated_pause_ms });
      if (round.keys <= short.keys || round.ms <= short.ms) return;
      if (i >= short.rounds && estimated_pause_ms <= longestPauseMs) return;
      if (i >= 10 * short.rounds) throw new MoveRefused(tooManyWrites);
    }
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
