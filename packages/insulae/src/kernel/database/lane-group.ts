/**
 * The lanes to one target.
 *
 * Reads fill one lane as long as its first statement is quick: few connections mean full batches and
 * few context switches. When the first statement of every lane is slow, another lane is opened, up
 * to a cap. Writes are spread, since each waits for the disk when it commits, and only commits on
 * different connections share a flush. A lane that is idle takes either kind, so that a tenant's own
 * database that sees one request at a time costs one connection.
 *
 * A tenant's share: whoever is alone on a target may have all of it in flight. As soon as there is
 * another, nobody gets more than half; the rest waits in its own line, and lines are served in turn.
 * And nobody's slow statements may occupy more than half of the lanes: what a tenant sends after
 * that goes behind its own slow ones.
 */
import type { StatementResult } from "./batch.ts";
import type { Broker, Lease } from "./broker.ts";
import {
  ConnectionLost,
  databaseBusy,
  databaseUnavailable,
  isDatabaseError,
  isStalePlan,
  retryLater,
  translate,
  writeOutcomeUnknown,
} from "./errors.ts";
import { createFairQueue } from "./fair-queue.ts";
import { createLane, type Job, type Lane } from "./lane.ts";
import type { StatementKind } from "./sql-rules.ts";
import type { Target } from "./target.ts";

export interface LaneLimits {
  readonly maxReadLanes: number;
  readonly maxWriteLanes: number;
  /** The most statements under way on one lane. */
  readonly readDepth: number;
  readonly writeDepth: number;
  /** A lane whose first statement is older gets no new work while there is another. */
  readonly slowMs: number;
  /** A lane that was idle for so long is given back. */
  readonly idleMs: number;
  /** How long a statement waits for a lane. */
  readonly queueTimeoutMs: number;
  /** A lane whose first statement is older is taken for dead: the server's own limit has failed. */
  readonly stuckMs: number;
}

export interface LaneGroup {
  run(job: Job): void;
  /** Gives back idle lanes and ends what has waited for too long. */
  sweep(now: number): void;
  readonly isEmpty: boolean;
  stats(): { read: number; write: number; inFlight: number; waiting: number };
  retire(): void;
}

/** How often a statement is given to a lane at most. One that was sent when it was lost: twice. */
const maxTries = 3;

export function createLaneGroup(target: Target, broker: Broker, limits: LaneLimits): LaneGroup {
  const pools = {
    read: createPool("read", limits.maxReadLanes, limits.readDepth),
    write: createPool("write", limits.maxWriteLanes, limits.writeDepth),
  };
  let checking = false;

  const isSlow = (lane: Lane, now: number) => lane.firstAge(now) > limits.slowMs;
  const slowBecauseOf = (pool: Pool, holder: string, now: number) =>
    pool.lanes.filter((lane) => isSlow(lane, now) && lane.first?.holder === holder);

  const mayHaveMore = (pool: Pool, holder: string) => {
    const held = pool.held.get(holder) ?? 0;
    const alone = pool.held.size <= 1 && pool.queue.holders <= 1;
    return alone || held * 2 < Math.max(1, pool.lanes.length) * pool.depth;
  };

  /** The lane for a statement; none if it has to wait. */
  const pick = (pool: Pool, job: Job): Lane | undefined => {
    if (pool.lanes.length === 0) return others(pool).lanes.find(isFree);
    if (!mayHaveMore(pool, job.holder)) return undefined;
    let best: Lane | undefined;
    let now = 0;
    for (const lane of pool.lanes) {
      if (lane.inFlight >= pool.depth || !lane.isOpen) continue;
      if (lane.inFlight > 0) {
        now ||= performance.now();
        if (isSlow(lane, now)) continue;
        if (pool.kind === "write" && best !== undefined && best.inFlight <= lane.inFlight) continue;
      }
      best = lane;
      if (pool.kind === "read" || lane.inFlight === 0) break;
    }
    if (pool.slow && job.holder !== "") {
      const own = slowBecauseOf(pool, job.holder, now || performance.now());
      if (own.length * 2 >= pool.max) return leastBusy(own, pool.depth);
    }
    if (best !== undefined && pool.kind === "write" && best.inFlight > 1) open(pool);
    if (best === undefined && !canGrow(pool)) return leastBusy(pool.lanes, pool.depth);
    return best;
  };

  const others = (pool: Pool) => (pool.kind === "read" ? pools.write : pools.read);
  const canGrow = (pool: Pool) => pool.opening > 0 || pool.lanes.length < pool.max;

  const send = (pool: Pool, lane: Lane, job: Job) => {
    pool.held.set(job.holder, (pool.held.get(job.holder) ?? 0) + 1);
    lane.run(job);
  };

  const pump = (pool: Pool) => {
    while (pool.queue.size > 0) {
      let lane: Lane | undefined;
      const job = pool.queue.next((each) => {
        lane = pick(pool, each);
        return lane !== undefined;
      });
      if (job === undefined || lane === undefined) return;
      send(pool, lane, job);
    }
  };

  // A lane may look slow because this process was busy and has not read the answers yet. By the time
  // of `setImmediate` the sockets have been read.
  const checkSoon = () => {
    if (checking) return;
    checking = true;
    setImmediate(() => {
      checking = false;
      for (const pool of [pools.read, pools.write]) {
        const now = performance.now();
        pool.slow = pool.lanes.some((lane) => isSlow(lane, now));
        pump(pool);
        if (pool.queue.size > 0 && !pool.lanes.some((lane) => hasRoom(pool, lane, now))) open(pool);
      }
    });
  };
  const hasRoom = (pool: Pool, lane: Lane, now: number) =>
    lane.isOpen && lane.inFlight < pool.depth && !isSlow(lane, now);

  const open = (pool: Pool) => {
    if (pool.opening > 0 || pool.lanes.length >= pool.max) return;
    pool.opening += 1;
    let lane: Lane | undefined;
    const options = {
      purpose: "lane" as const,
      reclaim: (urgent: boolean) => lane !== undefined && giveBack(pool, lane, urgent),
      lost: () => lane !== undefined && forget(pool, lane),
    };
    broker.lease(target, options).then(
      (lease) => {
        pool.opening -= 1;
        lane = add(pool, lease);
        pump(pool);
      },
      (error: Error) => {
        pool.opening -= 1;
        // With another lane at work, what waits will be served by that.
        if (pool.lanes.length > 0) pump(pool);
        else for (const job of pool.queue.remove(() => true)) job.reject(error);
      },
    );
  };

  const add = (pool: Pool, lease: Lease) => {
    const lane = createLane(pool.kind, lease, { ended, gone: (each) => forget(pool, each) });
    pool.lanes.push(lane);
    return lane;
  };

  const forget = (pool: Pool, lane: Lane) => {
    const at = pool.lanes.indexOf(lane);
    if (at >= 0) pool.lanes.splice(at, 1);
    if (pool.queue.size > 0) checkSoon();
  };

  const giveBack = (pool: Pool, lane: Lane, urgent: boolean) => {
    if (!lane.isOpen) return urgent;
    if (!urgent && (lane.inFlight > 0 || pool.queue.size > 0)) return false;
    forget(pool, lane);
    lane.retire();
    return true;
  };

  const ended = (
    lane: Lane,
    job: Job,
    error: Error | undefined,
    result: StatementResult | undefined,
  ) => {
    const pool = pools[job.kind];
    const held = (pool.held.get(job.holder) ?? 1) - 1;
    if (held === 0) pool.held.delete(job.holder);
    else pool.held.set(job.holder, held);

    if (error === undefined && result !== undefined) job.resolve(result);
    else fail(job, error ?? new Error("a statement ended without a result"));

    const mine = pools[lane.kind];
    if (!lane.isOpen) forget(mine, lane);
    for (const each of [pools.read, pools.write]) if (each.queue.size > 0) pump(each);
    if (lane.inFlight === 0 && broker.waiting() > 0) giveBack(mine, lane, false);
  };

  const again = (job: Job, kind: StatementKind) => {
    job.tries += 1;
    job.kind = kind;
    job.request = { ...job.request, readOnly: kind === "read" };
    pools[kind].queue.unshift(job.holder, job);
    checkSoon();
  };

  const fail = (job: Job, error: Error) => {
    const mayRetry = job.tries < maxTries;
    if (error instanceof ConnectionLost) {
      const harmless = error.sent ? job.kind === "read" && job.tries < 2 : mayRetry;
      if (harmless) again(job, job.kind);
      else if (error.sent && job.kind === "write") {
        job.reject(writeOutcomeUnknown(retryLater(error)));
      } else job.reject(databaseUnavailable(retryLater(error)));
      return;
    }
    if (mayRetry && isDatabaseError(error)) {
      if (isStalePlan(error)) return again(job, job.kind);
      // It looked like a read, and a function in it writes.
      if (error.code === "25006" && job.kind === "read") return again(job, "write");
    }
    job.reject(translate(error));
  };

  return {
    run(job) {
      const pool = pools[job.kind];
      const lane = pool.queue.size === 0 ? pick(pool, job) : undefined;
      if (lane !== undefined) {
        send(pool, lane, job);
        return;
      }
      pool.queue.push(job.holder, job);
      if (pool.lanes.length === 0) open(pool);
      else checkSoon();
    },
    sweep(now) {
      for (const pool of [pools.read, pools.write]) {
        pool.slow = pool.lanes.some((lane) => isSlow(lane, now));
        for (const lane of [...pool.lanes]) {
          if (lane.idleSince !== undefined && now - lane.idleSince > limits.idleMs) {
            giveBack(pool, lane, false);
          } else if (lane.firstAge(now) > limits.stuckMs) {
            lane.destroy(new Error("a statement had no answer for too long"));
          }
        }
        const late = pool.queue.remove((job) => now - job.since > limits.queueTimeoutMs);
        for (const job of late) job.reject(databaseBusy(retryLater()));
      }
    },
    get isEmpty() {
      return [pools.read, pools.write].every(
        ({ lanes, queue, opening }) => lanes.length === 0 && queue.size === 0 && opening === 0,
      );
    },
    stats: () => ({
      read: pools.read.lanes.length,
      write: pools.write.lanes.length,
      inFlight: [...pools.read.lanes, ...pools.write.lanes].reduce((n, l) => n + l.inFlight, 0),
      waiting: pools.read.queue.size + pools.write.queue.size,
    }),
    retire() {
      for (const pool of [pools.read, pools.write]) {
        for (const lane of [...pool.lanes]) giveBack(pool, lane, true);
        for (const job of pool.queue.remove(() => true))
          job.reject(databaseUnavailable(retryLater()));
      }
    },
  };
}

interface Pool {
  readonly kind: StatementKind;
  readonly max: number;
  readonly depth: number;
  readonly lanes: Lane[];
  readonly queue: ReturnType<typeof createFairQueue<Job>>;
  /** How many each tenant has under way. */
  readonly held: Map<string, number>;
  opening: number;
  /** Whether any lane was slow when that was last looked at. */
  slow: boolean;
}

const createPool = (kind: StatementKind, max: number, depth: number): Pool => ({
  kind,
  max,
  depth,
  lanes: [],
  queue: createFairQueue<Job>(),
  held: new Map(),
  opening: 0,
  slow: false,
});

const isFree = (lane: Lane) => lane.isOpen && lane.inFlight === 0;

const leastBusy = (lanes: readonly Lane[], depth: number): Lane | undefined => {
  let best: Lane | undefined;
  for (const lane of lanes) {
    if (lane.isOpen && lane.inFlight < (best?.inFlight ?? depth)) best = lane;
  }
  return best;
};
