/**
 * The cut-over: the tenant's writers wait while the last keys move and the control plane names the
 * other place.
 *
 *   writers' lock taken alone ─► last round, its rows compared ─► source closed ─► control plane: switched
 *                                                                                  (the one commit point)
 *   ◄─ both places compared at leisure ◄─ writers' locks released ◄─ target open, snapshots opened
 *
 * Whoever waited at the source wakes, reads `closed`, and is sent to the new place. The target's lock is
 * held as well: a tenant that comes back finds its old place closed until the control plane has decided.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MoveReport } from "../model/move.ts";
import { advanceSequences } from "./copy.ts";
import { type FenceHolder, reopenFence, setFence, writersKey } from "./fence.ts";
import { beginSnapshot, type MoveEnd, type MoveEnds } from "./move-ends.ts";
import { MoveRefused } from "./move-errors.ts";
import { compareAll, type RoundOptions, runRound, type Verified } from "./rounds.ts";

export interface CutOverOptions extends Omit<RoundOptions, "compare" | "alongside"> {
  readonly holder: FenceHolder;
  /** Names the other place in the control plane; throws if it may not any more. */
  readonly commit: () => Promise<void>;
  readonly check: () => void;
  /** For tests: called at each point where a crash matters. */
  readonly at: (point: "locked" | "closed" | "switched") => Promise<void>;
}

export interface CutOver {
  /** For how long no writer could get through. */
  readonly pauseMs: number;
  /** Of which so long for the locks, the last round, and the control plane. */
  readonly parts: Pick<MoveReport, "lock_ms" | "round_ms" | "commit_ms">;
  /** How often the lock was tried: transactions of the tenant may last longer than it waits. */
  readonly attempts: number;
  readonly keys: number;
  /** Compares all tables as they were within the pause. */
  readonly verify: () => Promise<Verified>;
}

/** Writers queue behind the waiting mover, so it waits only this long, and pauses before the next try. */
const drain = { lockMs: 150, pauseMs: 100, attempts: 40 } as const;

export async function cutOver(ends: MoveEnds, options: CutOverOptions): Promise<CutOver> {
  const { source, target } = ends;
  const { began, attempts } = await lockWriters(source, options.check);
  try {
    await lock(target);
    await options.at("locked");
    const locked = performance.now();
    for (const table of options.tables) await advanceSequences(ends, table);
    const last = await runRound(ends, {
      ...options,
      compare: true,
      alongside: () => setFence(source, "closed", options.holder),
    });
    await options.at("closed");
    const applied = performance.now();
    await options.commit();
    const committed = performance.now();
    await options.at("switched");
    await reopenFence(target, options.holder);
    await beginSnapshot(target);
    // The snapshot is taken by the first statement.
    await target.rows.query("select");
    await unlock(source);
    await unlock(target);
    return {
      pauseMs: Math.round(performance.now() - began),
      parts: {
        lock_ms: Math.round(locked - began),
        round_ms: Math.round(applied - locked),
        commit_ms: Math.round(committed - applied),
      },
      attempts,
      keys: last.keys,
      verify: async () => {
        const verified = await compareAll(ends, options.tables).finally(() =>
          target.rows.query("rollback"),
        );
        await last.end();
        return verified;
      },
    };
  } catch (error) {
    await source.rows.query("rollback").catch(() => undefined);
    throw error;
  }
}

async function lockWriters(
  source: MoveEnd,
  check: () => void,
): Promise<{ readonly began: number; readonly attempts: number }> {
  for (let attempts = 1; ; attempts += 1) {
    check();
    const began = performance.now();
    if (await tryLock(source)) return { began, attempts };
    if (attempts === drain.attempts) {
      throw new MoveRefused(
        "A transaction of the tenant has been writing for too long to cut over. Move the tenant when it has ended.",
      );
    }
    await sleep(drain.pauseMs);
  }
}

const tryLock = async (end: MoveEnd): Promise<boolean> => {
  await end.fence.query(`set lock_timeout = ${drain.lockMs}`);
  try {
    await lock(end);
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "55P03") throw error;
    return false;
  } finally {
    await end.fence.query("set lock_timeout = '10s'").catch(() => undefined);
  }
};

const lock = (end: MoveEnd): Promise<unknown> =>
  end.fence.query("select pg_advisory_lock(hashtextextended($1, 0))", [writersKey(end)]);

export const unlock = (end: MoveEnd): Promise<unknown> =>
  end.fence.query("select pg_advisory_unlock(hashtextextended($1, 0))", [writersKey(end)]);
