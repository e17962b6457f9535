/**
 * Bounds how many requests of a tenant run at a time: an adaptive concurrency limit.
 *
 * One process serves all tenants. Without this, 64 ready requests of one tenant would start before
 * another tenant's first, and keep process and database busy. So while several tenants have
 * requests and the event loop is busy, each tenant runs two and its others wait in line. Whenever
 * the loop has spare time, the limit rises by a quarter.
 *
 * Requests still running after a 50 ms tick stop counting: they wait for I/O (an upload, a slow
 * statement), not for this process. A tenant alone is never delayed.
 */
import { busyLoop } from "../../lib/event-loop.ts";
import { Fifo } from "../../lib/fifo.ts";
import type { TenantId } from "../../lib/ids.ts";
import { counter, type Metrics } from "../../telemetry/metrics.ts";
import type { RequestState } from "../state/request-state.ts";

export interface TenantThrottleOptions {
  readonly metrics: Metrics;
  /** @returns whether the event loop was busy since the last call */
  readonly isBusy?: () => boolean;
}

/**
 * @param tenant whose request it is; undefined: no delay
 * @returns a promise to await before beginning; undefined: begin at once. It never resolves if the
 * client disconnects first.
 */
export type TenantThrottle = (
  tenant: TenantId | undefined,
  request: ThrottledRequest,
) => Promise<void> | undefined;

/** The part of `RequestState` that this needs. */
export type ThrottledRequest = Pick<RequestState, "isGone" | "onClose">;

/** A tenant's requests, while it is not alone. */
interface Line {
  /** Begun in this tick and still running. */
  atWork: number;
  /** Undefined until needed: most tenants never wait. */
  waiting: Fifo<() => void> | undefined;
}

const least = 2;
const growth = 1.25;
const busyAbove = 0.75;
const tickMs = 50;
/** A tenant counts as alone this long after another's last request. */
const aloneAfterMs = 1_000;

const queued = counter(
  "insulae_requests_queued_total",
  "Requests that waited for others of their tenant to finish",
);

export function createTenantThrottle(options: TenantThrottleOptions): TenantThrottle {
  const { metrics, isBusy = busyLoop(busyAbove) } = options;
  const countQueued = metrics.counter(queued);
  const lines = new Map<TenantId, Line>();
  let most = least;
  let last: TenantId | undefined | "nobody" = "nobody";
  let othersAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let ticks = 0;

  const isAlone = (): boolean => performance.now() - othersAt > aloneAfterMs;

  const tick = (): void => {
    timer = undefined;
    ticks += 1;
    if (isBusy()) most = least;
    else if (isAnyWaiting()) most = Math.ceil(most * growth);
    if (isAlone()) most = Number.POSITIVE_INFINITY;
    for (const [tenant, line] of lines) {
      line.atWork = 0;
      beginNext(line);
      if (line.atWork === 0) lines.delete(tenant);
    }
    if (most < Number.POSITIVE_INFINITY) watch();
  };

  const isAnyWaiting = (): boolean => {
    for (const { waiting } of lines.values()) if (waiting && waiting.size > 0) return true;
    return false;
  };

  const watch = (): void => {
    timer ??= setTimeout(tick, tickMs).unref();
  };

  /** @returns false if the client has disconnected */
  const begin = (line: Line, request: ThrottledRequest): boolean => {
    if (request.isGone) return false;
    line.atWork += 1;
    const begun = ticks;
    request.onClose(() => {
      if (begun !== ticks) return;
      line.atWork -= 1;
      beginNext(line);
    });
    return true;
  };

  const beginNext = (line: Line): void => {
    while (line.atWork < most) {
      const next = line.waiting?.shift();
      if (!next) return;
      next();
    }
  };

  return (tenant, request) => {
    if (tenant !== last) {
      if (last !== "nobody") othersAt = performance.now();
      last = tenant;
    }
    if (tenant === undefined || isAlone()) return undefined;
    if (!timer) {
      most = least;
      isBusy();
      watch();
    }
    let line = lines.get(tenant);
    if (!line) {
      line = { atWork: 0, waiting: undefined };
      lines.set(tenant, line);
    }
    const own = line;
    if (own.atWork < most && !own.waiting?.size) {
      begin(own, request);
      return undefined;
    }
    countQueued.add();
    own.waiting ??= new Fifo();
    const { waiting } = own;
    return new Promise((resolve) => {
      waiting.push(() => begin(own, request) && resolve());
    });
  };
}
