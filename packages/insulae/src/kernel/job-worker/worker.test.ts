/** Workers by hand: fair turns, leases, and what happens when a node stops or PostgreSQL is away. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { until } from "../../testing/until.ts";
import { job, jobsOf } from "../feature/job.ts";
import { type JobParts, openJobParts } from "../jobs/parts-fixture.ts";
import type { JobQueue } from "../jobs/queue.ts";
import type { Tenant } from "../model/tenant.ts";
import { createJobWorker, type JobWorker } from "./worker.ts";

const started: string[] = [];
const stuck = new Map<string, (outcome?: Error) => void>();
const count = job("tests.count", {
  data: Type.Object({ of: Type.String() }),
  run: async (data) => void started.push(data.of),
});
/** Runs until the test lets it go; it does not listen to its signal. */
const stay = job("tests.stay", {
  data: Type.Object({ of: Type.String() }),
  backoffSeconds: 0,
  async run(data, { progress, signal, job: { attempt } }) {
    started.push(data.of);
    progress(0.5);
    await new Promise<void>((resolve, reject) => {
      stuck.set(`${data.of}${attempt}`, (error) => (error ? reject(error) : resolve()));
    });
    return { attempt, aborted: signal.aborted };
  },
});
/** Calls somebody outside who does not answer until the test does. */
const call = job("tests.call", {
  data: Type.Object({ of: Type.String(), url: Type.String() }),
  async run({ of, url }, { outbound, signal }) {
    started.push(of);
    const request = { method: "GET", headers: {}, timeoutMs: 60_000, maxBytes: 1_000 };
    await outbound(url, { ...request, signal });
  },
});
const brief = job("tests.brief", {
  timeoutSeconds: 0.05,
  retries: 0,
  run: () => new Promise(() => {}),
});
/** Waits for a receiver that does not answer until the test lets it. */
const ask = job("tests.ask", {
  data: Type.Object({ of: Type.String() }),
  async run(data, { delivery }) {
    started.push(data.of);
    await delivery.mail({} as never);
  },
});
const declared = jobsOf([{ jobs: [count, stay, call, brief, ask] }]);

let parts: JobParts;
const workers: JobWorker[] = [];
beforeAll(async () => {
  parts = await openJobParts();
});
afterAll(() => parts?.close());
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
  started.length = 0;
  await parts.rows("delete from control.jobs");
});

const work = (
  concurrency: number,
  queue: JobQueue = parts.queue,
  platform = parts.platform,
): JobWorker => {
  const { log } = parts;
  const worker = createJobWorker({ queue, declared, platform, concurrency, log, graceMs: 50 });
  workers.push(worker);
  worker.start();
  return worker;
};
const add = async (tenant: Tenant, name: string, data: object, retries = 5) => {
  const made = parts.newJob({ job: name, data, retries });
  await parts.queue.add(tenant.id, [made]);
  return made.id;
};
/** A backlog, as if it had been sent. */
const backlog = async (tenant: Tenant, length: number) => {
  await add(tenant, count.name, { of: tenant.id });
  await parts.rows(
    `insert into control.jobs (id, queue, job, data)
     select app.uuid_v7(), queue, job, data
     from control.jobs, generate_series(2, $2::int) where queue = $1`,
    tenant.id,
    length,
  );
};
const stateOf = async (id: string) =>
  (
    await parts.rows("select state, progress, error, attempts from control.jobs where id = $1", id)
  )[0];
const reached = (id: string, state: string) =>
  until(`the job is ${state}`, async () => {
    const found = await stateOf(id);
    return found?.state === state && found;
  });
const reachedWith = (id: string, column: "progress" | "error") =>
  until(`the job has a ${column}`, async () => (await stateOf(id))?.[column]);
const untilStarted = (name: string) => until(`${name} has started`, () => started.includes(name));

describe("turns", () => {
  it("are taken: however much A has waiting, B's job is among the next few", async () => {
    const [a, b] = [await parts.newTenant(), await parts.newTenant()];
    await backlog(a, 100_000);
    const worker = work(4);
    await untilStarted(a.id);
    await add(b, count.name, { of: "b" });
    const before = started.length;
    worker.wake();
    await untilStarted("b");
    // Those that were under way, and a round of one each.
    expect(started.indexOf("b") - before).toBeLessThan(20);
    expect(started.length).toBeLessThan(10_000);
  });

  it("are taken: no tenant has more than half of the places", async () => {
    const [a, b] = [await parts.newTenant(), await parts.newTenant()];
    for (const n of [1, 2, 3, 4, 5]) await add(a, stay.name, { of: `a${n}` });
    const worker = work(4);
    await untilStarted("a2");
    await add(b, stay.name, { of: "b1" });
    worker.wake();
    await untilStarted("b1");
    expect(started.filter((name) => name.startsWith("a"))).toHaveLength(2);
    for (const end of stuck.values()) end();
  });
});

describe("background jobs", () => {
  const priority = -1;
  const backlogOf = async (tenants: readonly Tenant[], of: string) => {
    const made = () => parts.newJob({ job: count.name, data: { of }, priority });
    await parts.queue.addEach(tenants.map(({ id }) => ({ queue: id, ...made() })));
  };

  it("of however many tenants hold up nobody's own job, and are done beside those", async () => {
    const tenants: Tenant[] = [];
    for (let n = 0; n < 300; n += 1) tenants.push(await parts.newTenant());
    await backlogOf(tenants, "background");
    for (const { id } of tenants.slice(-40)) {
      await parts.queue.add(id, [parts.newJob({ job: count.name, data: { of: "own" } })]);
    }
    work(1);
    await expect.poll(() => started.length, { timeout: 20_000 }).toBe(340);
    const lastOwn = started.lastIndexOf("own");
    // Every eighth turn is theirs, so that they don't wait for ever.
    expect(lastOwn).toBeLessThan(50);
    expect(started.slice(0, lastOwn)).toContain("background");
  });

  it("leave half of the places free", async () => {
    for (const n of [1, 2, 3, 4]) {
      const { id } = await parts.newTenant();
      await parts.queue.add(id, [
        parts.newJob({ job: stay.name, data: { of: `background ${n}` }, priority }),
      ]);
    }
    const worker = work(4);
    await untilStarted("background 2");
    for (const n of [1, 2]) await add(await parts.newTenant(), stay.name, { of: `own ${n}` });
    worker.wake();
    await untilStarted("own 2");
    expect(started.filter((of) => of.startsWith("background"))).toHaveLength(2);
    for (const end of stuck.values()) end();
    stuck.clear();
  });
});

it("slow receivers of many tenants leave room for those that have nothing under way", async () => {
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const { platform, queue } = parts;
  const withSlowReceivers: typeof platform = {
    ...platform,
    withTenant: (tenant, use) =>
      platform.withTenant(tenant, (scope) =>
        use({ ...scope, delivery: { ...scope.delivery, mail: () => answered } } as never),
      ),
  };
  for (let i = 0; i < 20; i += 1) {
    const tenant = await parts.newTenant();
    for (let n = 0; n < 3; n += 1) await add(tenant, ask.name, { of: "slow" });
  }
  const worker = work(4, queue, withSlowReceivers);
  // Forty may be under way.
  await expect.poll(() => started.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(36);
  for (const name of ["a", "b", "c", "d"]) {
    await add(await parts.newTenant(), ask.name, { of: name });
    worker.wake();
    await untilStarted(name);
  }
  expect(started.filter((name) => name === "slow")).toHaveLength(36);
  answer();
});

describe("a lease", () => {
  it("that was lost stops the job, and what it returns is ignored", async () => {
    const tenant = await parts.newTenant();
    const id = await add(tenant, stay.name, { of: "lost" });
    work(1);
    await untilStarted("lost");
    // Another node has found it silent, and taken it over.
    await parts.rows("update control.jobs set attempts = 2 where id = $1", id);
    stuck.get("lost1")?.();
    await sleep(100); // The chance for its result to be written.
    expect(await stateOf(id)).toMatchObject({ state: "running", attempts: 2, error: null });
  });

  it("is prolonged while the job runs, and tells it when it is gone", async () => {
    const tenant = await parts.newTenant();
    const id = await add(tenant, stay.name, { of: "told" });
    work(1);
    expect(await reachedWith(id, "progress")).toBe(0.5);
    stuck.get("told1")?.();
    await reached(id, "completed");
  });
});

describe("a job that waits for somebody outside", () => {
  const openSilent = async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  };

  it("leaves its place to others, one that works does not", async () => {
    const url = await openSilent();
    await add(await parts.newTenant(), call.name, { of: "outside", url });
    work(1);
    await untilStarted("outside");
    await add(await parts.newTenant(), stay.name, { of: "works" });
    // Whoever waits says so.
    await untilStarted("works");
    const kept = await add(await parts.newTenant(), count.name, { of: "kept" });
    workers[0]?.wake();
    await sleep(300); // The chance for it to start.
    expect(await stateOf(kept)).toMatchObject({ state: "ready" });
    stuck.get("works1")?.();
    await untilStarted("kept");
  });

  it("has at most nine more beside it in a place", async () => {
    const url = await openSilent();
    for (let n = 0; n < 12; n += 1) {
      await add(await parts.newTenant(), call.name, { of: `outside ${n}`, url });
    }
    work(1);
    await until("ten have started", () => started.length >= 10);
    workers[0]?.wake();
    await sleep(300); // The chance for an eleventh to start.
    expect(started).toHaveLength(10);
  });
});

describe("a worker", () => {
  it("parks a job that takes longer than it may, and has its place for others", async () => {
    const id = await add(await parts.newTenant(), brief.name, {}, 0);
    const worker = work(1);
    expect(await reached(id, "parked")).toMatchObject({ error: "it took longer than 0.05 s" });
    // The job itself has never ended.
    await add(await parts.newTenant(), count.name, { of: "after" });
    worker.wake();
    await untilStarted("after");
  });

  it("leaves a job that only a newer version knows to that", async () => {
    const id = await add(await parts.newTenant(), "tests.new", {});
    work(1);
    expect(await reachedWith(id, "error")).toBe("there is no job tests.new");
  });

  it("hands back what it runs when its node stops, and another does it", async () => {
    const id = await add(await parts.newTenant(), stay.name, { of: "handed" });
    const first = work(1);
    await untilStarted("handed");
    await first.close();
    expect(await stateOf(id)).toMatchObject({ state: "ready", attempts: 0 });
    stuck.get("handed1")?.();
    stuck.clear();
    work(1);
    await until("the other runs it", () => stuck.has("handed1"));
    stuck.get("handed1")?.();
    expect(await reached(id, "completed")).toMatchObject({ attempts: 1 });
  });

  it("begins a job that becomes due while it looks for what is due", async () => {
    const made = parts.newJob({
      job: count.name,
      data: { of: "later" },
      startAfter: new Date(Date.now() + 150),
    });
    await parts.queue.add((await parts.newTenant()).id, [made]);
    work(1, {
      ...parts.queue,
      async release() {
        const ms = await parts.queue.release();
        await sleep(300); // It becomes due meanwhile.
        return ms;
      },
    });
    await untilStarted("later");
  });

  it("notes what came of a job once the queue is back", async () => {
    const id = await add(await parts.newTenant(), count.name, { of: "noted" });
    let failures = 3;
    const flaky: JobQueue = {
      ...parts.queue,
      complete(taken, result) {
        failures -= 1;
        if (failures >= 0) return Promise.reject(new Error("the queue is away"));
        return parts.queue.complete(taken, result);
      },
    };
    work(1, flaky);
    await reached(id, "completed");
    expect(started).toEqual(["noted"]);
  });
});
