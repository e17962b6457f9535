import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../testing/until.ts";
import { type JobParts, openJobParts } from "./parts-fixture.ts";
import type { NewJob, TakenJob } from "./queue.ts";

let parts: JobParts;
beforeAll(async () => {
  parts = await openJobParts();
});
afterAll(() => parts?.close());

const stateOf = async ({ id }: { readonly id: string }) =>
  (
    await parts.rows("select state, progress, result, error from control.jobs where id = $1", id)
  )[0];
const take = async (queue: string): Promise<TakenJob> => {
  const taken = await parts.queue.take(queue, "ordinary");
  if (!taken) throw new Error("there is nothing to take");
  return taken;
};
const add = async (more: Partial<NewJob> = {}) => {
  const tenant = await parts.newTenant();
  const job = parts.newJob(more);
  await parts.queue.add(tenant.id, [job]);
  return { tenant, job };
};
/** As if the worker had been silent for so long. */
const age = ({ id }: TakenJob, seconds: number) =>
  parts.rows(
    "update control.jobs set leased_until = now() + make_interval(secs => 30 - $2) where id = $1",
    id,
    seconds,
  );

it("no tenant's role sees the queue, and nobody changes it at run time", async () => {
  const { rows } = await parts.database.query(`
    select has_table_privilege('insulae_control', 'control.jobs', 'truncate') as truncates,
      has_table_privilege('insulae_app', 'control.jobs', 'select') as app,
      has_table_privilege('insulae_data', 'control.jobs', 'select') as data`);
  expect(rows).toEqual([{ truncates: false, app: false, data: false }]);
});

describe("the queue", () => {
  it("gives a job to one of ten takers", async () => {
    const { tenant } = await add();
    const takings = Array.from({ length: 10 }, () => parts.queue.take(tenant.id, "ordinary"));
    expect((await Promise.all(takings)).filter(Boolean)).toHaveLength(1);
  });

  it("gives each of twenty jobs to one taker, of two nodes that race for them", async () => {
    const { tenant, job } = await add();
    await parts.queue.add(
      tenant.id,
      Array.from({ length: 19 }, () => parts.newJob()),
    );
    const nodes = [parts.queue, await parts.openQueue()];
    const takings = (count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, n) => nodes[n % 2]?.take(tenant.id, "ordinary")),
      );
    // Somebody holds the first, so that takers who would wait for each other do so all at once.
    await parts.rows("begin");
    await parts.rows("select from control.jobs where id = $1 for update", job.id);
    let isOver = false;
    const racing = takings(40).finally(() => {
      isOver = true;
    });
    await until("all have looked for a job", async () => {
      const waiting = await parts.rows("select from pg_locks where not granted");
      return isOver || waiting.length >= 2;
    });
    await parts.rows("rollback");
    const taken = [...(await racing), ...(await takings(2))].flatMap((each) => each?.id ?? []);
    expect(taken).toHaveLength(20);
    expect(new Set(taken).size).toBe(20);
  });

  it("takes by priority, then by age, and in a background turn a background job", async () => {
    const { tenant, job: first } = await add();
    const second = parts.newJob();
    await parts.queue.add(tenant.id, [second]);
    const [urgent, background] = [parts.newJob({ priority: 1 }), parts.newJob({ priority: -1 })];
    await parts.queue.add(tenant.id, [background, urgent]);
    expect(await parts.queue.take(tenant.id, "background")).toMatchObject({ id: background.id });
    expect(await parts.queue.take(tenant.id, "background")).toBeUndefined();
    for (const { id } of [urgent, first, second]) {
      expect(await take(tenant.id)).toMatchObject({ id });
    }
  });

  it("waits longer after each failure, and at most six hours", async () => {
    const { tenant, job } = await add({ backoffSeconds: 15, retries: 20 });
    for (const [failures, least, most] of [
      [1, 15, 30],
      [2, 30, 60],
      [5, 240, 480],
      [15, 21_600, 21_600],
    ] as const) {
      await parts.rows(
        "update control.jobs set state = 'ready', attempts = $2 where id = $1",
        job.id,
        failures - 1,
      );
      await parts.queue.fail(await take(tenant.id), "it stumbled", false);
      const [row] = await parts.rows<{ seconds: number }>(
        `select extract(epoch from due_at - now())::float8 as seconds
         from control.jobs where id = $1`,
        job.id,
      );
      expect(row?.seconds).toBeGreaterThan(least - 10);
      expect(row?.seconds).toBeLessThanOrEqual(most);
    }
  });

  it("adds no job of a key while one waits for its first attempt, and does from then on", async () => {
    const { tenant, job } = await add({ key: "one" });
    const again = () => {
      const other = parts.newJob({ key: "one" });
      return parts.queue.add(tenant.id, [other]).then(() => other);
    };
    await again();
    const taken = await take(tenant.id);
    expect(taken.id).toBe(job.id);
    expect(await parts.queue.take(tenant.id, "ordinary")).toBeUndefined();
    const next = await again();
    await again();
    // What is tried again is in nobody's way.
    expect(await parts.queue.handBack(taken)).toBe(true);
    expect([(await take(tenant.id)).id, (await take(tenant.id)).id].sort()).toEqual(
      [job.id, next.id].sort(),
    );
    expect(await parts.queue.take(tenant.id, "ordinary")).toBeUndefined();
  });

  it("has a job once, however often it is added", async () => {
    const { tenant, job } = await add();
    await parts.queue.add(tenant.id, [job]);
    expect(await take(tenant.id)).toMatchObject({ id: job.id });
    await parts.queue.add(tenant.id, [job]);
    expect(await parts.queue.take(tenant.id, "ordinary")).toBeUndefined();
  });

  it("gives the job of a dead worker to another, and ignores the first, should it finish late", async () => {
    const { tenant, job } = await add();
    const late = await take(tenant.id);
    await age(late, 29);
    expect(await parts.queue.takeOver()).toBe(0);
    await age(late, 31);
    expect(await parts.queue.takeOver()).toBe(1);
    const second = await take(tenant.id);
    expect(second).toMatchObject({ id: job.id, attempt: 2 });

    expect(await parts.queue.prolong(late, 0.9)).toBe(false);
    expect(await parts.queue.fail(late, "too late", true)).toBe(false);
    expect(await parts.queue.handBack(late)).toBe(false);
    expect(await parts.queue.complete(late, "of the first")).toBe(false);
    expect(await stateOf(job)).toMatchObject({ state: "running", error: "the worker is gone" });
    expect(await parts.queue.complete(second, "of the second")).toBe(true);
    expect(await parts.queue.complete(late, "of the first")).toBe(false);
    expect(await stateOf(job)).toEqual({
      state: "completed",
      result: "of the second",
      error: null,
      progress: null,
    });
  });

  it("notes what came of a job also while its lease is being renewed", async () => {
    for (const finish of [
      (job: TakenJob) => parts.queue.complete(job, null),
      (job: TakenJob) => parts.queue.fail(job, "it stumbled", false),
      (job: TakenJob) => parts.queue.handBack(job),
    ]) {
      const { tenant } = await add();
      const taken = await take(tenant.id);
      await parts.rows("begin");
      await parts.rows("update control.jobs set leased_until = now() where id = $1", taken.id);
      let isOver = false;
      const finishing = finish(taken).finally(() => {
        isOver = true;
      });
      await until("it waits", async () => {
        const waiting = await parts.rows("select from pg_locks where not granted");
        return isOver || waiting.length > 0;
      });
      await parts.rows("commit");
      expect(await finishing).toBe(true);
    }
  });

  it("parks a job that kills its workers", async () => {
    const { tenant, job } = await add({ retries: 2 });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await age(await take(tenant.id), 31);
      await parts.queue.takeOver();
    }
    expect(await stateOf(job)).toMatchObject({ state: "parked" });
    expect(await parts.queue.take(tenant.id, "ordinary")).toBeUndefined();
  });

  it("belongs to nobody who handed it back, also when it is taken again", async () => {
    const { tenant } = await add();
    const first = await take(tenant.id);
    expect(await parts.queue.handBack(first)).toBe(true);
    const second = await take(tenant.id);
    expect(second.attempt).toBe(first.attempt);
    expect(await parts.queue.complete(first, "late")).toBe(false);
    expect(await parts.queue.prolong(first, 1)).toBe(false);
    expect(await parts.queue.complete(second, "done")).toBe(true);
    expect(await stateOf(second)).toMatchObject({ state: "completed", result: "done" });
  });

  it.each(["a\u0000b", "\ud800"])(
    "is done although its result %j can't be stored",
    async (result) => {
      const { tenant } = await add();
      const taken = await take(tenant.id);
      expect(await parts.queue.complete(taken, { result })).toBe(true);
      expect(await stateOf(taken)).toMatchObject({
        state: "completed",
        result: null,
        error: expect.stringContaining("left out"),
      });
    },
  );

  it("does not count an attempt that was handed back", async () => {
    const { tenant, job } = await add({ retries: 0 });
    expect(await parts.queue.handBack(await take(tenant.id))).toBe(true);
    const again = await take(tenant.id);
    expect(again).toMatchObject({ id: job.id, attempt: 1 });
    await parts.queue.complete(again, null);
    expect(await stateOf(job)).toMatchObject({ state: "completed" });
  });

  it("keeps how far a job is until it is over", async () => {
    const { tenant, job } = await add();
    const taken = await take(tenant.id);
    await parts.queue.prolong(taken, 0.25);
    await parts.queue.prolong(taken, undefined);
    expect(await stateOf(job)).toMatchObject({ state: "running", progress: 0.25 });
  });

  it("names those queues of active tenants in which something is due, each once", async () => {
    const [one, two] = [await add(), await add()];
    const later = await add({ startAfter: new Date(Date.now() + 60_000) });
    const suspended = await add();
    await parts.app.tenants.suspend(suspended.tenant.id);
    await parts.queue.add(one.tenant.id, [parts.newJob(), parts.newJob()]);
    const ready = await parts.queue.ready("ordinary", "", 1_000);
    const about: string[] = [one, two, later, suspended].map(({ tenant }) => tenant.id);
    expect(ready.filter((name) => about.includes(name))).toEqual(
      [one.tenant.id, two.tenant.id].sort(),
    );
    expect(await parts.queue.ready("ordinary", one.tenant.id, 1_000)).not.toContain(one.tenant.id);
    const dueMs = await parts.queue.release();
    expect(dueMs).toBeGreaterThan(30_000);
    expect(dueMs).toBeLessThanOrEqual(60_000);
  });

  it("does not read jobs whose time has not come, however many, to find those that are ready", async () => {
    const { tenant } = await add();
    await parts.rows(
      `insert into control.jobs (id, queue, job, data, state, due_at)
       select app.uuid_v7(), $1, 'tests.test', '{}', 'held', now() + interval '1 hour'
       from generate_series(1, 5000)`,
      tenant.id,
    );
    await parts.rows("analyze control.jobs");
    const ready = async () => (await parts.queue.ready("ordinary", "", 1_000)).includes(tenant.id);
    await parts.queue.complete(await take(tenant.id), null);
    expect(await ready()).toBe(false);
    // What is not among the ready ones is not looked at, and what is held is released in time.
    const held = "select count(*)::int as n from control.jobs where queue = $1 and state = 'held'";
    expect(await parts.rows(held, tenant.id)).toEqual([{ n: 5_000 }]);
    await parts.rows("update control.jobs set due_at = now() where queue = $1", tenant.id);
    expect(await ready()).toBe(false);
    let rounds = 0;
    while (rounds < 10 && (await parts.queue.release()) === 0) rounds += 1;
    expect(rounds).toBe(5);
    expect(await ready()).toBe(true);
    expect(await parts.rows(held, tenant.id)).toEqual([{ n: 0 }]);
    await parts.rows("delete from control.jobs where queue = $1", tenant.id);
  });

  it("holds a job that failed until it is to be tried again", async () => {
    const { tenant, job } = await add({ backoffSeconds: 60 });
    await parts.queue.fail(await take(tenant.id), "it stumbled", false);
    expect(await parts.queue.ready("ordinary", "", 1_000)).not.toContain(tenant.id);
    expect(await parts.queue.release()).toBeGreaterThan(1_000);
    await parts.rows("update control.jobs set due_at = now() where id = $1", job.id);
    await parts.queue.release();
    expect(await parts.queue.ready("ordinary", "", 1_000)).toContain(tenant.id);
    expect(await take(tenant.id)).toMatchObject({ id: job.id, attempt: 2 });
  });

  it("takes jobs for many queues at once, which need not be there", async () => {
    const tenants = [await parts.newTenant(), await parts.newTenant()];
    const jobs = tenants.map(({ id }) => ({ queue: id, ...parts.newJob({ key: "one" }) }));
    await parts.queue.addEach(jobs);
    await parts.queue.addEach(jobs.map((job) => ({ ...job, id: parts.newJob().id })));
    for (const [i, { id }] of tenants.entries()) {
      expect(await take(id)).toMatchObject({ id: jobs[i]?.id });
      expect(await parts.queue.take(id, "ordinary")).toBeUndefined();
    }
  });

  it("forgets what was over long ago, completed jobs sooner than parked ones", async () => {
    const { tenant } = await add();
    const completed = await take(tenant.id);
    await parts.queue.complete(completed, null);
    const parked = await add({ retries: 0 });
    await parts.queue.fail(await take(parked.tenant.id), "poisonous", false);
    const finished = (days: number) =>
      parts.rows(
        "update control.jobs set finished_at = now() - make_interval(days => $1) where id = any($2)",
        days,
        [completed.id, parked.job.id],
      );
    await finished(3);
    await parts.queue.sweep();
    expect(await stateOf(completed)).toBeUndefined();
    expect(await stateOf(parked.job)).toMatchObject({ state: "parked" });
    await finished(31);
    await parts.queue.sweep();
    expect(await stateOf(parked.job)).toBeUndefined();
  });

  it("goes with its tenant", async () => {
    const { tenant } = await add();
    await parts.rows("delete from control.tenants where id = $1", tenant.id);
    expect(await parts.rows("select from control.jobs where queue = $1", tenant.id)).toEqual([]);
  });
});
