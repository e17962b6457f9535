/** A node's part in moves: every second it takes those that nobody holds. Safe on several nodes at once. */
import type { Kysely } from "kysely";
import type { ControlTables } from "../schema/control-tables.ts";
import type { Logger } from "../telemetry/log.ts";
import { counter, gauge, histogram, type MetricsRegistry } from "../telemetry/metrics.ts";
import { countUnfinished, findClaimable } from "./move-record.ts";
import type { Mover, MoverOptions } from "./mover.ts";

export interface MoveRunner {
  start(): void;
  /** Gives up what it holds, for other nodes to go on with. */
  close(): Promise<void>;
}

const everyMs = 1_000;
/** Each takes four connections. */
const mostAtOnce = 2;

export function createMoveRunner(
  control: Kysely<ControlTables>,
  mover: Mover,
  log: Logger,
): MoveRunner {
  const stopping = new AbortController();
  const running = new Map<string, Promise<unknown>>();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;

  const run = (id: string): void => {
    const work = mover
      .run(id, stopping.signal)
      .catch((error: unknown) => log.error({ err: error, move: id }, "Could not work on a move"))
      .finally(() => running.delete(id));
    running.set(id, work);
  };
  const look = async (): Promise<void> => {
    try {
      const free = mostAtOnce - running.size;
      if (free <= 0) return;
      for (const id of await findClaimable(control, free)) if (!running.has(id)) run(id);
    } catch (error) {
      log.debug({ err: error }, "Could not look for moves");
    }
  };
  return {
    start() {
      timer ??= setInterval(() => {
        looking ??= look().finally(() => {
          looking = undefined;
        });
      }, everyMs);
      timer.unref();
    },
    async close() {
      clearInterval(timer);
      stopping.abort(new Error("the process is stopping"));
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
