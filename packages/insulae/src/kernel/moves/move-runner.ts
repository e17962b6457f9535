/**
 * A node's part in moves: it takes those that nobody holds. It looks when a change of a tenant is announced,
 * each second while a tenant moves, since the node that moves it may die, and rarely otherwise. Safe on several
 * nodes at once.
 */
import type { Kysely } from "kysely";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import { counter, gauge, histogram, type MetricsRegistry } from "../telemetry/metrics.ts";
import { countUnfinished, findUnfinished } from "./move-record.ts";
import type { Mover, MoverOptions } from "./mover.ts";

export interface MoveRunner {
  start(): void;
  /** A tenant has changed: perhaps it is to be moved. */
  wake(): void;
  /** Gives up what it holds, for other nodes to go on with. */
  close(): Promise<void>;
}

/** Until the next look: while a tenant moves, while a source is kept, and else. */
const pauseMs = { moving: 1_000, kept: 30_000, idle: 60_000 } as const;
/** Many tenants may change at once. */
const wakeMs = 200;
/** Each takes four connections. */
const mostAtOnce = 2;
const mostRead = 20;

export function createMoveRunner(
  control: Kysely<ControlTables>,
  mover: Mover,
  log: Logger,
): MoveRunner {
  const stopping = new AbortController();
  const running = new Map<string, Promise<unknown>>();
  let timer: NodeJS.Timeout | undefined;
  let due = Number.POSITIVE_INFINITY;
  let looking: Promise<void> | undefined;

  const run = (id: string): void => {
    const work = mover
      .run(id, stopping.signal)
      .catch((error: unknown) => log.error({ err: error, move: id }, "Could not work on a move"))
      .finally(() => {
        running.delete(id);
        lookIn(0);
      });
    running.set(id, work);
  };
  /** @returns until the next look, in milliseconds */
  const look = async (): Promise<number> => {
    try {
      const unfinished = await findUnfinished(control, mostRead);
      for (const { id, due: isDue } of unfinished) {
        if (isDue && running.size < mostAtOnce && !running.has(id)) run(id);
      }
      if (unfinished.some(({ kept }) => !kept)) return pauseMs.moving;
      return unfinished.length > 0 ? pauseMs.kept : pauseMs.idle;
    } catch (error) {
      log.debug({ err: error }, "Could not look for moves");
      return pauseMs.moving;
    }
  };
  const lookIn = (ms: number): void => {
    const at = performance.now() + ms;
    if (stopping.signal.aborted || looking || at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(() => {
      due = Number.POSITIVE_INFINITY;
      looking = look().then((next) => {
        looking = undefined;
        lookIn(next);
      });
    }, ms);
    timer.unref();
  };
  let isStarted = false;
  return {
    start() {
      isStarted = true;
      lookIn(0);
    },
    wake() {
      if (isStarted) lookIn(wakeMs);
    },
    async close() {
      stopping.abort(new Error("the process is stopping"));
      clearTimeout(timer);
      await looking;
      await Promise.all(running.values());
    },
  };
}

const ended = counter(
  "insulae_moves_total",
  "Moves of tenants that this process ended, by result",
  ["result"],
);
const pauses = histogram(
  "insulae_move_pause_seconds",
  "For how long a tenant's writers waited at its cut-over",
  [],
  [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
);
const unfinished = gauge("insulae_moves_unfinished", "Moves of tenants, by state", ["state"]);

/** Counts moves. @returns the mover's callbacks */
export function watchMoves(
  metrics: MetricsRegistry,
  control: Kysely<ControlTables>,
): Required<Pick<MoverOptions, "onSwitched" | "onEnd">> {
  const result = (name: "switched" | "aborted") => metrics.counter(ended, { result: name });
  const [switched, aborted] = [result("switched"), result("aborted")];
  metrics.read(unfinished, () => countUnfinished(control));
  return {
    onSwitched(pauseMs) {
      switched.add();
      metrics.histogram(pauses).observe(pauseMs / 1_000);
    },
    onEnd(outcome) {
      if (outcome === "aborted") aborted.add();
    },
  };
}
