/**
 * Whose turn it is: rounds over the queues that have something to do, one job of each.
 *
 *   ordinary    [acme, beta, …] [acme, …] …   first
 *   background  [acme, beta, gamma, …] …      where nothing ordinary waits, and every eighth time, so that it
 *                                             does not wait for ever; in half of the places at most
 *
 * So a hundred thousand jobs that run by themselves hold up nobody's own.
 */
import type { JobKind, JobQueue } from "./queue.ts";

export interface Turn {
  readonly queue: string;
  readonly kind: JobKind;
}

export interface Turns {
  /** The next of which a job may begin; undefined if there is none. */
  next(mayBegin: (turn: Turn) => boolean): Promise<Turn | undefined>;
}

const backgroundEvery = 8;

export interface TurnsOptions {
  readonly queue: Pick<JobQueue, "ready">;
  /** Of a round: more than may be under way, so that in each somebody may begin. */
  readonly length: number;
  /** Servers that don't answer: their tenants have no turn. */
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
