import type { Config } from "../config/config.ts";

export interface ShutdownTimes {
  /** How long the server keeps serving while it reports not ready, in milliseconds. */
  readonly drainMs: number;
  /** How long requests in flight may then take, in milliseconds. */
  readonly graceMs: number;
  /**
   * After this the process exits regardless, in milliseconds. A supervisor must wait longer before
   * killing it: `terminationGracePeriodSeconds` and `stop_grace_period` in deploy/.
   */
  readonly deadlineMs: number;
}

/** In production uploads may be in flight; in development somebody has pressed Ctrl-C and waits. */
export function shutdownTimes(config: Pick<Config, "env" | "drainSeconds">): ShutdownTimes {
  const drainMs = config.drainSeconds * 1_000;
  return config.env === "production"
    ? { drainMs, graceMs: 25_000, deadlineMs: drainMs + 30_000 }
    : { drainMs, graceMs: 1_000, deadlineMs: drainMs + 2_800 };
}
