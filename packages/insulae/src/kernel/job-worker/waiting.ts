/**
 * A job that waits for an outside service (a webhook's receiver, a mail server) gives its place to
 * another meanwhile, so that receivers that don't respond can't occupy all places.
 */
import type { TenantScope } from "../feature/tenant-scope.ts";

export interface Waiting {
  /** The number of calls it is waiting for. */
  waiting: number;
}

/** Most calls return sooner; for those, starting another job isn't worthwhile. */
const momentMs = 200;
/** How many jobs may be under way per place, including waiting ones; bounds memory. */
const underWayPerPlace = 10;

export const mostUnderWay = (places: number): number => places * underWayPerPlace;

const working = (jobs: readonly Waiting[]): number =>
  jobs.filter(({ waiting }) => waiting === 0).length;

/** Whether a job of any tenant may start. */
export const isRoom = (all: readonly Waiting[], places: number): boolean =>
  working(all) < places && all.length < mostUnderWay(places);

/**
 * Whether a tenant may start another job, given room. It may work in at most half of the places. Of
 * the jobs that may be under way it may have a tenth, or more while half are free, but only one of
 * the last tenth.
 *
 * @param own the tenant's jobs among all
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

/** Whether another background job may start: they work in at most half of the places. */
export const mayBeginInBackground = (background: readonly Waiting[], places: number): boolean =>
  working(background) < Math.ceil(places / 2);

/**
 * The parts of a job's scope that call outside services, wrapped so that the job counts as waiting
 * meanwhile.
 *
 * @param onWait called when it begins to wait: there may be room for another job
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
