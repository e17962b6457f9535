import { availableParallelism } from "node:os";
import { type Config, ConfigError } from "../config/config.ts";

export type Workers = number | "auto";

/** The minimum of DB_CONNECTIONS. */
const leastConnections = 6;

/**
 * The number of workers to start.
 *
 * @throws ConfigError if there are too few connections for them
 */
export function workersOf({ databaseConnections }: Config, wanted: Workers): number {
  const most = Math.floor(databaseConnections / leastConnections);
  if (wanted === "auto") return Math.max(1, Math.min(availableParallelism(), most));
  if (wanted <= most) return wanted;
  throw new ConfigError([
    `DB_CONNECTIONS is ${databaseConnections}, too few for ${wanted} workers: each needs ${leastConnections}. Raise it to ${wanted * leastConnections}, or start fewer workers`,
  ]);
}
