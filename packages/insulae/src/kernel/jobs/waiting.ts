/**
 * A job that waits for somebody outside (a webhook's receiver, a mail server) does no work meanwhile,
 * so it gives its place to another: receivers that don't answer can't fill all places.
 */
import type { TenantScope } from "../platform.ts";

export interface Waiting {
  /** How many calls it is waiting for. */
  waiting: number;
}

/** Most calls are answered by then: for those it isn't worth looking for another job. */
const momentMs = 200;
/** So many jobs may be under way for each place, with those that wait; it bounds their memory. */
const underWayPerPlace = 10;

/** Whether there is room for another job beside these. */
export function isRoom(jobs: readonly Waiting[], places: number): boolean {
  const working = jobs.filter(({ waiting }) => waiting === 0);
  return working.length < places && jobs.length < places * underWayPerPlace;
}

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
