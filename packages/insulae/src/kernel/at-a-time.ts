/**
 * Bounds expensive work: how much of it runs at a time in this process, how much of that for one tenant,
 * and how much waits. A place that becomes free goes to the tenants in turn, so a tenant's second waits
 * for everybody's first. What finds no place is refused before it begins.
 */
import { Fifo } from "./database/fifo.ts";
import { type AppError, defineError } from "./errors.ts";

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
  /** What is bounded, in the plural; errors name it: `imports`. */
  readonly what: string;
  /** How many run at a time in this process. */
  readonly process: number;
  /** How many of these for one tenant. Default: all, as long as nobody else waits. */
  readonly tenant?: number;
  /** How many more wait. Default 0. */
  readonly waiting?: number;
  /** How many of these for one tenant. */
  readonly tenantWaiting?: number;
  /** Seconds after which a client that was refused should retry. Default 1. */
  readonly retryAfter?: number;
}

/** Gives the place back; once, however often it is called. */
export type Leave = () => void;

export interface AtATime {
  /**
   * Waits for a place, if there is room to wait.
   *
   * @param owner the tenant's id; undefined: the platform, which has a turn like a tenant.
   * @throws tooManyAtOnce, serverBusy, each naming the limit
   */
  enter(owner: string | undefined): Promise<Leave>;
  /** Runs the task when there is a place for it. @throws as `enter` */
  run<T>(owner: string | undefined, task: () => Promise<T>): Promise<T>;
}

interface Line {
  running: number;
  readonly waiting: Fifo<(leave: Leave) => void>;
}

/**
 * @example
 * const imports = createAtATime({ what: "imports", process: 2, tenant: 1 });
 * await imports.run(tenant.id, () => importContacts(file));
 */
export function createAtATime(options: AtATimeOptions): AtATime {
  const { what, process: most, tenant: mostOfOne = most, waiting: mostWaiting = 0 } = options;
  const mostWaitingOfOne = Math.min(options.tenantWaiting ?? mostWaiting, mostWaiting);
  const lines = new Map<string, Line>();
  let running = 0;
  let waiting = 0;

  const begin = (owner: string, line: Line): Leave => {
    running += 1;
    line.running += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      running -= 1;
      line.running -= 1;
      if (line.running === 0 && line.waiting.size === 0) lines.delete(owner);
      beginNext();
    };
  };

  const beginNext = (): void => {
    for (const [owner, line] of lines) {
      if (running >= most) return;
      const next = line.running < mostOfOne ? line.waiting.shift() : undefined;
      if (!next) continue;
      waiting -= 1;
      // To the end of the line: its next one waits for everybody else's.
      lines.delete(owner);
      lines.set(owner, line);
      next(begin(owner, line));
    }
  };

  /** Undefined: there is room to wait. */
  const refusal = (owner: string, line: Line): AppError | undefined => {
    const detail = (size: number, queued: number, whose: string) =>
      `The limit on ${what} is ${size} at a time${queued > 0 ? `, and ${queued} waiting,` : ""} for ${whose}.`;
    const headers = { "retry-after": String(options.retryAfter ?? 1) };
    const processFull = running >= most && waiting >= mostWaiting;
    if (line.waiting.size >= mostWaitingOfOne && !processFull) {
      return owner === ""
        ? serverBusy({
            headers,
            detail: detail(mostOfOne, mostWaitingOfOne, "what belongs to no tenant"),
          })
        : tooManyAtOnce({ headers, detail: detail(mostOfOne, mostWaitingOfOne, "a tenant") });
    }
    if (waiting < mostWaiting) return undefined;
    return serverBusy({ headers, detail: detail(most, mostWaiting, "this process") });
  };

  const enter = async (owner = ""): Promise<Leave> => {
    const line = lines.get(owner) ?? { running: 0, waiting: new Fifo() };
    const free = running < most && line.running < mostOfOne;
    const refused = free ? undefined : refusal(owner, line);
    if (refused) throw refused;
    lines.set(owner, line);
    if (free) return begin(owner, line);
    waiting += 1;
    return new Promise((start) => line.waiting.push(start));
  };

  return {
    enter,
    async run(owner, task) {
      const leave = await enter(owner);
      try {
        return await task();
      } finally {
        leave();
      }
    },
  };
}
