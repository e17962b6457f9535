import type { Config } from "./config.ts";

export interface ShutdownTimes {
  /** Milliseconds that requests in flight may take once the server is told to stop. */
  readonly graceMs: number;
  /**
   * Milliseconds after which the process ends as it is. Whatever kills it has to wait longer:
   * `terminationGracePeriodSeconds` and `stop_grace_period` in deploy/.
   */
  readonly deadlineMs: number;
}

/** In production an upload may be in flight; in development somebody has pressed Ctrl-C and waits. */
export const shutdownTimes = ({ env }: Pick<Config, "env">): ShutdownTimes =>
  env === "production"
    ? { graceMs: 25_000, deadlineMs: 30_000 }
    : { graceMs: 1_000, deadlineMs: 2_800 };
