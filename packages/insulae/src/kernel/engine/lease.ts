import type { Client } from "pg";
import type { Holder } from "../lib/fair-shares.ts";
import type { PipelinedConnection } from "./pipelined-connection.ts";

export interface Lease {
  readonly client: Client;
  readonly session: PipelinedConnection;
  /** Gives it back; it is kept only if nothing is in flight and no transaction is open. */
  release(): void;
  /** Gives it back to be closed. */
  destroy(error?: Error): void;
}

export interface LeaseOptions {
  /**
   * Others wait and the budget is spent: release the connection if it is idle, and return true if
   * you did. If `urgent`, also return true if you will as soon as what is in flight has ended.
   */
  readonly reclaim?: (urgent: boolean) => boolean;
  /** The connection is gone; its lease has ended. */
  readonly lost?: (error: Error) => void;
  /** A lane carries many; a session (default) is one holder's for as long as it likes. */
  readonly purpose?: "lane" | "session";
  /** Whose it is, for the share of one. */
  readonly holder?: Holder;
  /** Stops waiting. */
  readonly signal?: AbortSignal;
}
