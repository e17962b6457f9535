/**
 * The lanes of one kind to one target, and the choice among them.
 *
 * Reads fill the first lane as long as it is quick: few connections mean full batches and few
 * context switches. Writes are spread, since each waits for the disk when it commits, and only
 * commits on different connections share a flush; so is what is slow, since it waits anyway.
 *
 * A tenant's share: an eighth of what the lanes take. That is enough to keep a server busy, and all
 * that another tenant's statement has to wait for; the rest waits in a line of its own, and lines
 * are served in turn. (With all of it, a flood over 64 connections made others' p99 nine times its
 * quiet value, most of it spent behind the flood's statements.)
 */
import { createFairQueue, type FairQueue } from "./fair-queue.ts";
import type { Lane, LaneStatement } from "./lane.ts";
import type { StatementKind } from "./sql-rules.ts";

export interface LanePool {
  readonly kind: StatementKind;
  readonly max: number;
  readonly lanes: Lane[];
  readonly queue: FairQueue<LaneStatement>;
  /** How many lanes are being opened. */
  opening: number;
  /** The lane for a holder's statement; none if it has to wait, or if there is no lane. */
  pick(holder: string, now: number): Lane | undefined;
  /** Whether another lane would help: none is free to take more and quick. */
  wantsMore(now: number): boolean;
  /** Counts what the holder has under way. */
  count(holder: string, change: 1 | -1): void;
}

export interface PoolLimits {
  readonly max: number;
  /** The most statements under way on one lane. */
  readonly depth: number;
  /** A lane whose first statement is older gets no new work while there is another. */
  readonly slowMs: number;
  /**
   * Whether the process has a connection to spare. A pool's first lane may take another target's
   * place, its further ones may not: else busy targets would close each other's lanes all the time.
   */
  readonly hasSpare: () => boolean;
  /** Whether statements are spread over the lanes, or fill the first one that is quick. */
  readonly spread: boolean;
}

export function createLanePool(kind: StatementKind, limits: PoolLimits): LanePool {
  const { max, depth, slowMs, spread, hasSpare } = limits;
  const lanes: Lane[] = [];
  const queue = createFairQueue<LaneStatement>();
  const held = new Map<string, number>();

  const hasRoom = (lane: Lane) => lane.isOpen && lane.inFlight < depth;
  const isSlow = (lane: Lane, now: number) => lane.firstAge(now) > slowMs;

  const share = Math.max(1, Math.floor(depth / 8));
  const mayHaveMore = (holder: string) =>
    (held.get(holder) ?? 0) < Math.max(1, lanes.length) * share;

  const mayGrow = () => lanes.length < max && (lanes.length === 0 || hasSpare());

  const firstQuick = (now: number) => lanes.find((lane) => hasRoom(lane) && !isSlow(lane, now));

  const leastBusy = (now: number) => {
    let best: Lane | undefined;
    for (const lane of lanes) {
      if (!hasRoom(lane) || isSlow(lane, now)) continue;
      if (best === undefined || lane.inFlight < best.inFlight) best = lane;
      if (best.inFlight === 0) break;
    }
    return best;
  };

  const pool: LanePool = {
    kind,
    max,
    lanes,
    queue,
    opening: 0,
    pick(holder, now) {
      if (!mayHaveMore(holder)) return undefined;
      const best = spread ? leastBusy(now) : firstQuick(now);
      if (best !== undefined || pool.opening > 0 || mayGrow()) return best;
      // All are slow, and there can't be more.
      return lanes.reduce<Lane | undefined>(
        (least, lane) =>
          hasRoom(lane) && lane.inFlight < (least?.inFlight ?? depth) ? lane : least,
        undefined,
      );
    },
    wantsMore(now) {
      if (pool.opening > 0 || !mayGrow()) return false;
      if (spread && lanes.length > 0 && lanes.every((lane) => lane.inFlight > 1)) return true;
      return queue.size > 0 && firstQuick(now) === undefined;
    },
    count(holder, change) {
      const count = (held.get(holder) ?? 0) + change;
      if (count === 0) held.delete(holder);
      else held.set(holder, count);
    },
  };
  return pool;
}
