import type { Config } from "../config/config.ts";

export interface ShutdownTimes {
  /** Milliseconds for which the server still serves and is not ready. */
  readonly drainMs: number;
  /** Milliseconds that requests in flight may take after that. */
  readonly graceMs: number;
  /**
   * Milliseconds after which the process ends as it is. Whatever kills it has to wait longer:
   * `terminationGracePeriodSeconds` and `stop_grace_period` in deploy/.
   */
  readonly deadlineMs: number;
}

/** In production an upload may be in flight; in development somebody has pressed Ctrl-C and waits. */
export function shutdownTimes(config: Pick<Config, "env" | "drainSeconds">): ShutdownTimes {
  const drainMs = config.drainSeconds * 1_000;
  return config.env === "production"
    ? { drainMs, graceMs: 25_000, deadlineMs: drainMs + 30_000 }
    : { drainMs, graceMs: 1_000, deadlineMs: drainMs + 2_800 };
}
