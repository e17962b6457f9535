/** The lease of a mover: renewed while it works, and an end to its work when it is lost. */

import type { MoveProgress } from "../model/move.ts";
import { LeaseLost, MoveAborted } from "./move-errors.ts";
import { type HeldMove, isBeforeSwitch, renewLease } from "./move-record.ts";

/** What one mover knows while it works. */
export interface Work {
  readonly held: HeldMove;
  /** Aborted with the reason if the mover has to stop. */
  readonly signal: AbortSignal;
  readonly progress: (change: MoveProgress) => void;
  /** Reports a step to tests; throws if the mover has to stop. */
  readonly at: (step: string) => Promise<void>;
}

const renewEveryMs = 1_000;
/** Less than the lease, so that this mover has stopped before another one may begin. */
const giveUpAfterMs = 2_500;

/** @param at called at each step, for tests; throws to end the mover there */
export function beginWork(
  held: HeldMove,
  outer: AbortSignal | undefined,
  at: ((step: string) => Promise<void> | void) | undefined,
): { readonly work: Work; readonly stop: () => Promise<void> } {
  const ended = new AbortController();
  const signal = outer ? AbortSignal.any([outer, ended.signal]) : ended.signal;
  let progress: MoveProgress = held.row.progress;
  let renewed = performance.now();
  let renewing = Promise.resolve();
  const renew = async () => {
    try {
      const { abortWanted } = await renewLease(held, progress);
      renewed = performance.now();
      if (abortWanted && isBeforeSwitch(held.row.state)) {
        ended.abort(new MoveAborted("The move was aborted."));
      }
    } catch (error) {
      if (error instanceof LeaseLost) ended.abort(error);
    }
  };
  const timer = setInterval(() => {
    if (performance.now() - renewed > giveUpAfterMs) {
      ended.abort(new LeaseLost("The lease could not be renewed in time."));
    } else {
      renewing = renewing.then(renew);
    }
  }, renewEveryMs);
  const work: Work = {
    held,
    signal,
    progress: (change) => {
      progress = { ...progress, ...change };
    },
    at: async (name) => {
      await at?.(name);
      signal.throwIfAborted();
    },
  };
  return {
    work,
    async stop() {
      clearInterval(timer);
      await renewing;
    },
  };
}
