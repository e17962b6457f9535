import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { job, jobsOf, platformJob } from "../feature/job.ts";
import { type JobParts, openJobParts } from "../jobs/parts-fixture.ts";
import type { NewJob } from "../jobs/queue.ts";
import { createSchedules, scheduleForTenants } from "./schedules.ts";

const hourly = platformJob("tests.hourly", { schedule: "0 * * * *", run: async () => {} });
const nightly = job("tests.nightly", { schedule: "30 3 * * *", run: async () => {} });
const declared = jobsOf([{ jobs: [hourly, nightly] }]);

let parts: JobParts;
beforeAll(async () => {
  parts = await openJobParts();
});
afterAll(() => parts?.close());
afterEach(() => vi.useRealTimers());

interface Added extends NewJob {
  readonly queue: string;
}

/** What a node adds from `from` on, in so many hours. */
const addedBy = async (from: string, hours: number, failures = 0): Promise<Added[]> => {
  vi.useFakeTimers({ now: new Date(from), toFake: ["Date", "setTimeout", "clearTimeout"] });
  const added: Added[] = [];
  let left = failures;
  const add = async (queue: string, jobs: readonly NewJob[]) => {
    left -= 1;
    if (left >= 0) throw new Error("the queue is away");
    added.push(...jobs.map((each) => ({ queue, ...each })));
  };
  const schedules = createSchedules({ declared, queue: { ...parts.queue, add }, log: parts.log });
  await schedules.start();
  await vi.advanceTimersByTimeAsync(hours * 3_600_000);
  schedules.close();
  return added;
};

describe("a scheduled job", () => {
  it("is added when its time has come, for the platform or for each tenant", async () => {
    const added = await addedBy("2030-01-01T01:59:59.500Z", 2);
    expect(added).toMatchObject([
      { queue: "platform", job: "tests.hourly", startAfter: new Date("2030-01-01T02:00:00Z") },
      { queue: "platform", job: "tests.hourly", startAfter: new Date("2030-01-01T03:00:00Z") },
      {
        queue: "platform",
        job: "jobs.schedule-for-tenants",
        data: { job: "tests.nightly", at: "2030-01-01T03:30:00.000Z" },
      },
    ]);
  });

  it("is the same job on every node", async () => {
    const ids = (added: readonly Added[]) => added.map(({ id }) => id);
    const one = await addedBy("2030-01-01T01:00:00Z", 3);
    const other = await addedBy("2030-01-01T01:30:00Z", 2.5);
    expect(ids(other)).toEqual(ids(one));
    expect(new Set(ids(one)).size).toBe(one.length);
  });

  it("is added late where the queue is away at its time", async () => {
    const added = await addedBy("2030-01-01T01:59:59.500Z", 0.5, 3);
    expect(added).toMatchObject([{ startAfter: new Date("2030-01-01T02:00:00Z") }]);
  });

  it("of the tenants is added for each active one, once, however often that is tried", async () => {
    const [one, two, suspended] = [
      await parts.newTenant(),
      await parts.newTenant(),
      await parts.newTenant(),
    ];
    await parts.app.tenants.suspend(suspended.id);
    const forTenants = scheduleForTenants(parts.queue, (name) => declared.get(name));
    const run = (at: string) =>
      forTenants.run(
        { job: "tests.nightly", at } as never,
        { platform: parts.platform, signal: new AbortController().signal } as never,
      );
    const added = () =>
      parts.rows("select queue from control.jobs where job = 'tests.nightly' order by queue");
    await run("2030-01-01T03:30:00.000Z");
    await run("2030-01-01T03:30:00.000Z");
    expect(await added()).toEqual([{ queue: one.id }, { queue: two.id }]);
    // Nor for the next night, while the one of this night waits.
    await run("2030-01-02T03:30:00.000Z");
    expect(await added()).toHaveLength(2);
  });

  it("has a schedule that can be read", () => {
    const made = () => job("tests.never", { schedule: "now and then", run: async () => {} });
    expect(made).toThrow("cron expression of five fields");
  });
});
