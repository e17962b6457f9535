/**
 * The lanes to one target: for reads, for writes, and for the reads and writes of those who held up
 * others lately. A lane is opened when all of its kind are slow or busy, up to a cap, and given back
 * when it was idle for a while, or at once when others wait for a connection. One that is idle takes
 * either kind, so a tenant's own database that sees one request at a time costs one connection.
 *
 * Statements on a lane end in order, so one that waits for a lock holds up everybody behind it. If it
 * does for too long, the server is told to cancel it, which rolls it back, and it is run again among
 * the slow, with all that its tenant asks for in the next seconds.
 */
import type { StatementResult } from "./batch.ts";
import type { Broker } from "./broker.ts";
import { databaseBusy, databaseUnavailable, retryLater } from "./errors.ts";
import { type Cancelled, createLane, type Lane, type LaneStatement } from "./lane.ts";
import { createLanePool, type LanePool } from "./lane-pool.ts";
import { judge } from "./retry.ts";
import { createSlowHolders } from "./slow-holders.ts";
import type { StatementKind } from "./sql-rules.ts";
import type { Target } from "./target.ts";

export interface LaneLimits {
  /** Half of them, rounded down, are for the slow. */
  readonly maxReadLanes: number;
  /** A quarter of them. */
  readonly maxWriteLanes: number;
  /** The most statements under way on one lane. */
  readonly readDepth: number;
  readonly writeDepth: number;
  /** A lane whose first statement is older gets no new work while there is another. */
  readonly slowMs: number;
  /** A statement that holds up others for longer is run again among the slow. */
  readonly heavyMs: number;
  /** A lane that was idle for so long is given back. */
  readonly idleMs: number;
  /** How long a statement waits for a lane. */
  readonly queueTimeoutMs: number;
}

export interface LaneGroup {
  run(statement: LaneStatement): void;
  /** Moves what holds up others, gives back idle lanes and ends what has waited for too long. */
  sweep(now: number): void;
  readonly isEmpty: boolean;
  stats(): { read: number; write: number; inFlight: number; waiting: number };
  /** Ends what waits, and gives back each lane when what is under way has ended. */
  retire(): void;
}

export function createLaneGroup(target: Target, broker: Broker, limits: LaneLimits): LaneGroup {
  const { maxReadLanes, maxWriteLanes, readDepth, writeDepth, slowMs } = limits;
  const slowReads = Math.floor(maxReadLanes / 2);
  const slowWrites = Math.floor(maxWriteLanes / 4);
  const pool = (kind: StatementKind, max: number, spread: boolean) =>
    createLanePool(kind, {
      max,
      depth: kind === "read" ? readDepth : writeDepth,
      slowMs,
      hasSpare: () => broker.hasRoom(target),
      spread,
    });
  const quick = {
    read: pool("read", maxReadLanes - slowReads, false),
    write: pool("write", maxWriteLanes - slowWrites, true),
  };
  // With a single lane there is no other to go to.
  const slow = {
    read: slowReads > 0 ? pool("read", slowReads, true) : quick.read,
    write: slowWrites > 0 ? pool("write", slowWrites, true) : quick.write,
  };
  const hasSlow = slow.read !== quick.read && slow.write !== quick.write;
  const pools = [...new Set([quick.read, quick.write, slow.read, slow.write])];
  const slowHolders = createSlowHolders();
  let checking = false;

  const poolOf = (statement: LaneStatement) => (statement.slow ? slow : quick)[statement.kind];

  const pick = (from: LanePool, statement: LaneStatement, now: number): Lane | undefined => {
    if (from.lanes.length > 0) return from.pick(statement.holder, now);
    if (statement.slow) return undefined;
    const others = from === quick.read ? quick.write : quick.read;
    return others.lanes.find((lane) => lane.isOpen && lane.inFlight === 0);
  };

  const send = (from: LanePool, lane: Lane, statement: LaneStatement) => {
    from.count(statement.holder, 1);
    lane.run(statement);
  };

  /** Sends what waits, as far as there is room. */
  const pump = (from: LanePool) => {
    while (from.queue.size > 0) {
      const now = performance.now();
      let lane: Lane | undefined;
      const statement = from.queue.next((each) => {
        lane = pick(from, each, now);
        return lane !== undefined;
      });
      if (statement === undefined || lane === undefined) return;
      send(from, lane, statement);
    }
  };

  // A lane may look slow because this process was busy and has not read the answers yet. By the time
  // of `setImmediate` the sockets have been read.
  const checkSoon = () => {
    if (checking) return;
    checking = true;
    setImmediate(() => {
      checking = false;
      for (const each of pools) {
        pump(each);
        if (each.wantsMore(performance.now())) open(each);
      }
    });
  };

  const open = (to: LanePool) => {
    to.opening += 1;
    let lane: Lane | undefined;
    const lease = broker.lease(target, {
      purpose: "lane",
      reclaim: (urgent) => lane !== undefined && giveBack(to, lane, urgent),
      lost: () => {
        if (lane !== undefined) forget(to, lane);
      },
    });
    lease.then(
      (granted) => {
        to.opening -= 1;
        lane = createLane(granted, ended);
        to.lanes.push(lane);
        pump(to);
      },
      (error: Error) => {
        to.opening -= 1;
        // With another lane at work, what waits will be served by that.
        if (to.lanes.length > 0) pump(to);
        else for (const statement of to.queue.remove(() => true)) statement.reject(error);
      },
    );
  };

  const forget = (from: LanePool, lane: Lane) => {
    const at = from.lanes.indexOf(lane);
    if (at >= 0) from.lanes.splice(at, 1);
    if (from.queue.size > 0) checkSoon();
  };

  const giveBack = (from: LanePool, lane: Lane, urgent: boolean) => {
    if (!lane.isOpen) return urgent;
    if (!urgent && (lane.inFlight > 0 || from.queue.size > 0)) return false;
    forget(from, lane);
    lane.retire();
    return true;
  };

  const ended = (
    lane: Lane,
    statement: LaneStatement,
    error: Error | undefined,
    result: StatementResult | undefined,
    cancelled: Cancelled,
  ) => {
    const now = performance.now();
    const workedMs = now - lane.workingSince;
    if (statement.slow && workedMs > limits.heavyMs) slowHolders.add(statement.holder, now);
    poolOf(statement).count(statement.holder, -1);
    if (result !== undefined) statement.resolve(result);
    else if (cancelled === "meant" && !statement.slow) runAmongSlow(statement);
    else if (cancelled === "bystander") runNext(statement);
    else fail(statement, error ?? new Error("a statement ended without a result"));

    for (const each of pools) if (each.queue.size > 0) pump(each);
    if (lane.isOpen && (lane.inFlight > 0 || broker.waiting() === 0)) return;
    for (const each of pools) {
      if (!each.lanes.includes(lane)) continue;
      if (lane.isOpen) giveBack(each, lane, false);
      else forget(each, lane);
    }
  };

  const fail = (statement: LaneStatement, error: Error) => {
    const verdict = judge(statement.kind, statement.tries, error);
    if ("error" in verdict) {
      statement.reject(verdict.error);
      return;
    }
    statement.tries += 1;
    statement.kind = verdict.again;
    statement.request = { ...statement.request, readOnly: verdict.again === "read" };
    poolOf(statement).queue.unshift(statement.holder, statement);
    checkSoon();
  };

  /** It was cancelled by mistake, and so rolled back. */
  const runNext = (statement: LaneStatement) => {
    poolOf(statement).queue.unshift(statement.holder, statement);
    checkSoon();
  };

  const runAmongSlow = (statement: LaneStatement) => {
    statement.slow = true;
    poolOf(statement).queue.push(statement.holder, statement);
    checkSoon();
  };

  /** Makes way for those behind the first statement of a lane, if it is slow and they are others. */
  const makeWay = (lane: Lane, from: LanePool, now: number) => {
    const { first } = lane;
    if (first === undefined || first.slow || first.holder === "") return;
    if (now - lane.workingSince < limits.heavyMs || !lane.holdsUpOthers) return;
    if (!slowHolders.mayInterrupt(now)) return;
    slowHolders.add(first.holder, now);
    for (const each of from.queue.remove(({ holder }) => holder === first.holder)) {
      runAmongSlow(each);
    }
    lane.interrupt();
  };

  return {
    run(statement) {
      statement.slow = hasSlow && slowHolders.has(statement.holder, statement.since);
      const from = poolOf(statement);
      // Those who wait had no room; it may be that only they have none, since each has a share.
      const mayGo = !from.queue.has(statement.holder);
      const lane = mayGo ? pick(from, statement, statement.since) : undefined;
      if (lane === undefined) from.queue.push(statement.holder, statement);
      else send(from, lane, statement);
      if (from.wantsMore(statement.since)) {
        // The first lane is opened at once; whether one more is needed, a second look tells.
        if (from.lanes.length === 0 && lane === undefined) open(from);
        else if (from.lanes.length > 0) checkSoon();
      }
    },
    sweep(now) {
      for (const each of pools) {
        for (const lane of [...each.lanes]) {
          if (hasSlow) makeWay(lane, each, now);
          if (lane.idleSince !== undefined && now - lane.idleSince > limits.idleMs) {
            giveBack(each, lane, false);
          }
        }
        if (each.queue.size === 0) continue;
        const late = each.queue.remove(
          (statement) => now - statement.since > limits.queueTimeoutMs,
        );
        for (const statement of late) statement.reject(databaseBusy(retryLater()));
      }
    },
    get isEmpty() {
      return pools.every((p) => p.lanes.length + p.queue.size + p.opening === 0);
    },
    stats() {
      const count = (of: readonly LanePool[]) => of.reduce((n, { lanes }) => n + lanes.length, 0);
      return {
        read: count(pools.filter(({ kind }) => kind === "read")),
        write: count(pools.filter(({ kind }) => kind === "write")),
        inFlight: pools.flatMap(({ lanes }) => lanes).reduce((n, lane) => n + lane.inFlight, 0),
        waiting: pools.reduce((n, { queue }) => n + queue.size, 0),
      };
    },
    retire() {
      for (const each of pools) {
        for (const statement of each.queue.remove(() => true))
          statement.reject(databaseUnavailable(retryLater()));
        for (const lane of [...each.lanes]) giveBack(each, lane, true);
      }
    },
  };
}
