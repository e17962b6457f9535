/** What stops a mover. */

/** The move can't be made as things are; the sentence says why. It is undone, and not tried again. */
export class MoveRefused extends Error {
  override readonly name = "MoveRefused";
}

/** Somebody asked to abort the move. */
export class MoveAborted extends Error {
  override readonly name = "MoveAborted";
}

/** Another process has taken the move over, or this one could not renew its lease. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

/** The rows differ between source and target. */
export class RowsDiffer extends Error {
  override readonly name = "RowsDiffer";
}
