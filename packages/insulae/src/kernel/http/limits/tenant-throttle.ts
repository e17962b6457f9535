/**
 * How many requests of a tenant are at work at a time: an adaptive concurrency limit.
 *
 * One process answers for all tenants. Of a tenant with sixty-four requests ready, sixty-four would be
 * begun before another tenant's one is looked at, and they would keep the database as busy as this
 * process. So while more than one tenant asks and the event loop is busy, a tenant has two at work, and
 * its others wait in line; whenever the loop has time left, a quarter more than before.
 *
 * What is at work when a tick ends counts no longer: it waits for something else than this process, an
 * upload or a slow statement, of which a tenant may have as many as ever. A tenant alone is never held
 * up.
 */
import { busyLoop } from "../../lib/event-loop.ts";
import { Fifo } from "../../lib/fifo.ts";
import type { TenantId } from "../../lib/ids.ts";
import { counter, type Metrics } from "../../telemetry/metrics.ts";
import type { RequestState } from "../state/request-state.ts";

export interface TenantThrottleOptions {
  readonly metrics: Metrics;
  /** @returns whether the event loop has been busy since it was asked last. */
  readonly isBusy?: () => boolean;
}

/**
 * @param tenant whose request it is; undefined: nobody's, which is not held up.
 * @returns what to wait for before the request is begun; undefined: begin at once. If the client goes
 *   meanwhile, it waits for ever.
 */
export type TenantThrottle = (
  tenant: TenantId | undefined,
  request: ThrottledRequest,
) => Promise<void> | undefined;

/** A part of its `RequestState`. */
export type ThrottledRequest = Pick<RequestState, "isGone" | "onClose">;

/** A tenant's, while it is not alone. */
interface Line {
  /** Those that were begun in this tick, and are not over. */
  atWork: number;
  /** Most tenants never have any. */
  waiting: Fifo<() => void> | undefined;
}

const least = 2;
const growth = 1.25;
const busyAbove = 0.75;
const tickMs = 50;
/** So long after another tenant has asked, a tenant counts as alone. */
const aloneAfterMs = 1_000;

const queued = counter(
  "insulae_requests_queued_total",
  "Requests that waited until others of their tenant were over",
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

  /** @returns false: the client has gone. */
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
