/**
 * Where statements go. A tenant's place is looked up for each statement and each transaction, since
 * a tenant may be moved between two of them.
 */
import type { Scope } from "../engine/scope.ts";
import type { Target } from "../engine/target.ts";

export interface Place {
  readonly target: Target;
  readonly scope: Scope | undefined;
  /** A move is under way: a transaction that may write waits for a cut-over before it begins. */
  readonly isMoving?: boolean;
}

export interface TenantPlace extends Place {
  readonly target: Target & { readonly role: "app" };
  readonly scope: Scope;
}

export interface Where<Found extends Place> {
  /** The place, if this process knows it. */
  known(): Found | undefined;
  find(): Promise<Found>;
  /** Asks the control plane: the place that was known has refused a write. */
  findAnew(): Promise<Found>;
}

export const alwaysAt = <Found extends Place>(place: Found): Where<Found> => {
  const find = async () => place;
  return { known: () => place, find, findAnew: find };
};

/** How often something is run again elsewhere, and how long it waits before the second time. */
export const maxMoves = 3;
export const moveWaitMs = 100;
