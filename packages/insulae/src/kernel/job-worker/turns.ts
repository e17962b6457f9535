/**
 * Round-robin over the queues that have work, one job from each queue per round.
 *
 *   ordinary    [acme, beta, …] [acme, …] …   first
 *   background  [acme, beta, gamma, …] …      when no ordinary job waits, and every eighth time, in
 *                                             at most half of the places: so it does not starve
 *
 * So a hundred thousand scheduled jobs delay nobody's own jobs.
 */
import type { JobKind, JobQueue } from "../jobs/queue.ts";

export interface Turn {
  readonly queue: string;
  readonly kind: JobKind;
}

export interface Turns {
  /** The next queue of which a job may start; undefined if there is none. */
  next(mayBegin: (turn: Turn) => boolean): Promise<Turn | undefined>;
}

const backgroundEvery = 8;

export interface TurnsOptions {
  readonly queue: Pick<JobQueue, "ready">;
  /**
   * Of a round: larger than the maximum under way, so that every round has a queue that may start.
   */
  readonly length: number;
  /** Unreachable servers: their tenants get no turn. */
  readonly down: () => readonly string[];
}

export function createTurns({ queue, length, down }: TurnsOptions): Turns {
  const rounds = { ordinary: createRound("ordinary"), background: createRound("background") };
  let turn = 0;

  function createRound(kind: JobKind): Turns["next"] {
    let round: string[] = [];
    let last = "";
    return async (mayBegin) => {
      const following = (): Turn | undefined => {
        for (let name = round.shift(); name !== undefined; name = round.shift()) {
          if (!mayBegin({ queue: name, kind })) continue;
          last = name;
          return { queue: name, kind };
        }
        return undefined;
      };
      const found = following();
      if (found) return found;
      if (last !== "") {
        round = await queue.ready(kind, last, length, down());
        const further = following();
        if (further) return further;
      }
      last = "";
      round = await queue.ready(kind, "", length, down());
      return following();
    };
  }

  return {
    async next(mayBegin) {
      turn += 1;
      const { ordinary, background } = rounds;
      return turn % backgroundEvery === 0
        ? ((await background(mayBegin)) ?? ordinary(mayBegin))
        : ((await ordinary(mayBegin)) ?? background(mayBegin));
    },
  };
}
