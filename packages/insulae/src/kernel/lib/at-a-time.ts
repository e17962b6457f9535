/**
 * A fair semaphore for expensive work. It limits how much runs in parallel in this process, how
 * much of that for one tenant, and how much waits. Free places go to the accounts round-robin, and
 * within an account to its tenants, so a tenant's second request waits for everybody's first. If
 * the queue is full, a newcomer displaces the last entry of whoever has the most
 * (`fair-shares.ts`). Work without a place is refused before it begins.
 */

import { type AppError, defineError } from "./errors.ts";
import { createFairShares, type Holder, type Part } from "./fair-shares.ts";
import { Fifo } from "./fifo.ts";

export const tooManyAtOnce = defineError(
  "too_many_at_once",
  429,
  "Too many requests of this kind are running for you. Retry when one of them is done.",
);
export const serverBusy = defineError(
  "busy",
  503,
  "The server is busy with requests of this kind. Retry in a moment.",
);

export interface AtATimeOptions {
  /** What is limited, in the plural, for error messages: `imports`. */
  readonly what: string;
  /** How many run in parallel in this process. */
  readonly process: number;
  /** How many of these for one tenant. Default: all, while nobody else waits. */
  readonly tenant?: number;
  /** How many more may wait. Default 0. */
  readonly waiting?: number;
  /** How many of these for one tenant. Default: all, while nobody else waits. */
  readonly tenantWaiting?: number;
  /** Retry-After for refused clients, in seconds. Default 1. */
  readonly retryAfter?: number;
}

/** Releases the place. Further calls have no effect. */
export type Leave = () => void;

export interface AtATime {
  /**
   * Waits for a place, if there is room to wait.
   *
   * @param signal stops waiting, which then fails with `serverBusy`
   * @throws tooManyAtOnce, serverBusy, each naming the limit
   */
  enter(holder: Holder, signal?: AbortSignal): Promise<Leave>;
  /** Runs the task once it has a place. @throws as `enter` */
  run<T>(holder: Holder, task: () => Promise<T>): Promise<T>;
}

interface Waiter {
  readonly start: (leave: Leave) => void;
  /** Its part of the places in the queue. */
  readonly part: Part;
}

/** The queue of one holder. */
interface Line {
  running: number;
  readonly waiting: Fifo<Waiter>;
}

/** The queues of a group's holders; the next to run is first. */
type Lines = Map<string, Line>;

/**
 * @example
 * const imports = createAtATime({ what: "imports", process: 2, tenant: 1 });
 * await imports.run(holderOf(tenant), () => importContacts(file));
 */
export function createAtATime(options: AtATimeOptions): AtATime {
  const { what, process: most, tenant: mostOfOne = most, waiting: mostWaiting = 0 } = options;
  const mostWaitingOfOne = Math.min(options.tenantWaiting ?? mostWaiting, mostWaiting);
  const groups = new Map<string, Lines>();
  const room = createFairShares(mostWaiting, "newest");
  let running = 0;

  const begin = (holder: Holder, line: Line): Leave => {
    running += 1;
    line.running += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      running -= 1;
      line.running -= 1;
      beginNext();
      forget(holder, line);
    };
  };

  const forget = ({ group, name }: Holder, line: Line): void => {
    if (line.running > 0 || line.waiting.size > 0) return;
    const lines = groups.get(group);
    lines?.delete(name);
    if (lines?.size === 0) groups.delete(group);
  };

  const beginNext = (): void => {
    for (const [group, lines] of groups) {
      if (running >= most) return;
      if (beginOneOf(group, lines)) toTheEnd(groups, group, lines);
    }
  };

  const beginOneOf = (group: string, lines: Lines): boolean => {
    for (const [name, line] of lines) {
      const next = line.running < mostOfOne ? line.waiting.shift() : undefined;
      if (!next) continue;
      next.part.end();
      toTheEnd(lines, name, line);
      next.start(begin({ group, name }, line));
      return true;
    }
    return false;
  };

  const refusal = (size: number, queued: number, whose: string): AppError => {
    const isProcess = whose !== "a tenant";
    return (isProcess ? serverBusy : tooManyAtOnce)({
      headers: { "retry-after": String(options.retryAfter ?? 1) },
      detail: `The limit on ${what} is ${size} at a time${queued > 0 ? `, and ${queued} waiting,` : ""} for ${whose}.`,
    });
  };
  const processFull = () => refusal(most, mostWaiting, "this process");

  const wait = (holder: Holder, line: Line, signal: AbortSignal | undefined): Promise<Leave> =>
    new Promise((resolve, reject) => {
      const giveUp = (): void => {
        signal?.removeEventListener("abort", giveUp);
        waiter.part.end();
        line.waiting.delete(waiter);
        forget(holder, line);
        reject(processFull());
      };
      const waiter: Waiter = {
        part: room.begin(holder, giveUp),
        start(leave) {
          signal?.removeEventListener("abort", giveUp);
          resolve(leave);
        },
      };
      line.waiting.push(waiter);
      if (signal?.aborted || !waiter.part.grow(1)) giveUp();
      else signal?.addEventListener("abort", giveUp);
    });

  const enter = async (holder: Holder, signal?: AbortSignal): Promise<Leave> => {
    const { group, name } = holder;
    const lines = groups.get(group) ?? new Map<string, Line>();
    const line = lines.get(name) ?? { running: 0, waiting: new Fifo<Waiter>() };
    if (line.running + line.waiting.size >= mostOfOne + mostWaitingOfOne) {
      const whose = name === "" ? "requests without a tenant" : "a tenant";
      throw refusal(mostOfOne, mostWaitingOfOne, whose);
    }
    groups.set(group, lines.set(name, line));
    return running < most && line.running < mostOfOne
      ? begin(holder, line)
      : wait(holder, line, signal);
  };

  return {
    enter,
    async run(holder, task) {
      const leave = await enter(holder);
      try {
        return await task();
      } finally {
        leave();
      }
    },
  };
}

/** Moves the entry to the end, so that its next one waits for everybody else's. */
function toTheEnd<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
}
