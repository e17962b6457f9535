/**
 * A job that waits for somebody outside (a webhook's receiver, a mail server) does no work meanwhile,
 * so it gives its place to another: receivers that don't answer can't fill all places.
 */
import type { TenantScope } from "../feature/tenant-scope.ts";

export interface Waiting {
  /** How many calls it is waiting for. */
  waiting: number;
}

/** Most calls are answered by then: for those it isn't worth looking for another job. */
const momentMs = 200;
/** So many jobs may be under way for each place, with those that wait; it bounds their memory. */
const underWayPerPlace = 10;

export const mostUnderWay = (places: number): number => places * underWayPerPlace;

const working = (jobs: readonly Waiting[]): number =>
  jobs.filter(({ waiting }) => waiting === 0).length;

/** Whether a job of whatever tenant may begin beside these. */
export const isRoom = (all: readonly Waiting[], places: number): boolean =>
  working(all) < places && all.length < mostUnderWay(places);

/**
 * Whether a tenant may begin another job where there is room. It works in half of the places at most. Of
 * the jobs that may be under way it has a tenth, more while half of them are free, and of the last tenth one.
 *
 * @param own the tenant's jobs among all.
 */
export function mayBegin(
  own: readonly Waiting[],
  all: readonly Waiting[],
  places: number,
): boolean {
  if (working(own) >= Math.ceil(places / 2)) return false;
  const most = mostUnderWay(places);
  const tenth = Math.max(2, most / 10);
  if (own.length === 0 || all.length < most / 2) return true;
  return own.length < tenth && all.length < most - tenth;
}

/** Whether another background job may begin beside these: they work in half of the places at most. */
export const mayBeginInBackground = (background: readonly Waiting[], places: number): boolean =>
  working(background) < Math.ceil(places / 2);

/**
 * What of a job's scope leads outside, such that the job counts as waiting while it does.
 *
 * @param onWait is told when it begins to wait: there may be room now.
 */
export function outsideOf(
  job: Waiting,
  { outbound, delivery }: Pick<TenantScope<never>, "outbound" | "delivery">,
  onWait: () => void,
): Pick<TenantScope<never>, "outbound" | "delivery"> {
  const noted =
    <Args extends readonly unknown[], Result>(call: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      let counted = 0;
      const timer = setTimeout(() => {
        counted = 1;
        job.waiting += counted;
        onWait();
      }, momentMs);
      try {
        return await call(...args);
      } finally {
        clearTimeout(timer);
        job.waiting -= counted;
      }
    };
  return {
    outbound: Object.assign(noted(outbound), { check: noted(outbound.check) }),
    delivery: {
      mail: noted(delivery.mail),
      text: noted(delivery.text),
      push: noted(delivery.push),
    },
  };
}
