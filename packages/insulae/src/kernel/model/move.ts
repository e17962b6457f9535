/** A move of a tenant from one placement to another, as it is stored and shown. */
import type { Isolation } from "./tenant.ts";

/**
 * planned → capturing → copying → following → closing → switched → kept → clearing → done.
 * Before `switched`: → undoing → aborted.
 */
export const moveStates = [
  "planned",
  "capturing",
  "copying",
  "following",
  "closing",
  "switched",
  "kept",
  "clearing",
  "undoing",
  "done",
  "aborted",
] as const;
export type MoveState = (typeof moveStates)[number];

/** Where a move leads from or to, as it is shown. */
export interface MovePlace {
  readonly server: string;
  readonly isolation: Isolation;
  readonly database?: string;
  readonly schema?: string;
}

export interface MoveProgress {
  /** Rows copied so far, and how many there were when copying began. */
  readonly rows?: number;
  readonly rows_total?: number;
  readonly table?: string;
  /** Changed rows that the last round moved: how far the target is behind. */
  readonly lag_rows?: number;
  readonly rounds?: number;
  readonly estimated_pause_ms?: number;
}

export interface MoveReport {
  readonly tables?: number;
  readonly rows?: number;
  readonly copy_ms?: number;
  readonly rows_per_second?: number;
  /** How many rows were compared while the tenant wrote, and again as they were at the cut-over. */
  readonly compared_before?: number;
  readonly compared_at_cut_over?: number;
  readonly pause_ms?: number;
  /** Parts of the pause: the locks, the last round, the control plane. */
  readonly lock_ms?: number;
  readonly round_ms?: number;
  readonly commit_ms?: number;
  readonly lock_attempts?: number;
  readonly moved_in_pause?: number;
}
