/**
 * The cost of having many tenants, most of them idle, and of serving many at random: the same
 * server with 1,000, 10,000 and 100,000 tenants in the pool.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { endUploadJob } from "../../packages/insulae/src/features/files/files.jobs.ts";
import { measureAll } from "../../packages/insulae/src/features/usage/measurements.ts";
import { eachOf } from "../../packages/insulae/src/kernel/lib/each-of.ts";
import { createLogger } from "../../packages/insulae/src/kernel/telemetry/log.ts";
import { firstSmallTenant, tenantId } from "../dataset.ts";
import { count, megabytes, milliseconds, percent, seconds, times } from "../format.ts";
import type { Insulae } from "../insulae.ts";
import { runLoad } from "../load.ts";
import type { Bench, Section, Verdict } from "../scenario.ts";
import { median } from "../statistics.ts";

/** The last one caches all its tenants; the default is 50,000 per process. */
const beside = [
  { size: 1_000 },
  { size: 10_000 },
  { size: 100_000 },
  { size: 100_000, cached: 200_000 },
] as const satisfies readonly Beside[];
const idleSeconds = 5;
const connections = 32;
const warmUpSeconds = 5;
const ownJobs = 25;
/** How long background jobs are counted, in seconds. */
const drainSeconds = 5;

const leastShareOfRequests = 0.7;
const leastShareOfJobs = 0.7;
const longestDelay = 2;
const mostMemory = 1.2;

interface Beside {
  readonly size: number;
  /** CACHED_TENANTS, if not the default. */
  readonly cached?: number;
}

interface Measured {
  readonly tenants: number;
  readonly cached: number | undefined;
  readonly startMs: number;
  readonly idleMemory: number | undefined;
  /** The share of one processor while idle. */
  readonly idleShare: number;
  readonly hourlyMs: number;
  readonly requestsPerSecond: number;
  readonly failed: number;
  readonly loadedMemory: number | undefined;
  readonly jobsPerSecond: number;
  readonly delayMs: number;
}

export async function tenants(bench: Bench): Promise<Section> {
  const insulae = await bench.insulae();
  const measured: Measured[] = [];
  for (const each of beside) {
    bench.progress(`tenants: writing ${count(each.size)}`);
    measured.push(await measure(bench, insulae, each));
  }
  return report(measured);
}

async function measure(
  bench: Bench,
  insulae: Insulae,
  { size, cached }: Beside,
): Promise<Measured> {
  const callers = await insulae.smallTenants(size);
  const say = (text: string) => bench.progress(`tenants: ${count(size)}: ${text}`);
  say("the hourly work for idle tenants");
  const hourlyMs = await insulae.withServices(async ({ platform }) => {
    await bench.database.connected((client) =>
      client.query("update control.usage_measured set wanted = false where wanted"),
    );
    const began = performance.now();
    await platform.tenants.sweep();
    const signal = new AbortController().signal;
    await measureAll(platform, { log: createLogger("error"), signal });
    return performance.now() - began;
  });
  const server = await insulae.start(cached ? { CACHED_TENANTS: String(cached) } : {});
  try {
    await sleep(1_000);
    const [idleMemory, before] = [server.memory(), server.processorMs()];
    await sleep(idleSeconds * 1_000);
    const idleShare = ((server.processorMs() ?? 0) - (before ?? 0)) / (idleSeconds * 1_000);
    say("requests");
    const load = (length: number) => {
      const { baseUrl } = server;
      const what = { prefix: "/api/v1", operation: "list", connections } as const;
      return runLoad({ baseUrl, callers, seconds: length, ...what });
    };
    // Warm the caches: the first request of each tenant is not measured.
    await eachOf(callers, connections, async ({ token }) => {
      const headers = { authorization: `Bearer ${token}` };
      await (await fetch(`${server.baseUrl}/api/v1/contacts?limit=1`, { headers })).text();
    });
    await load(warmUpSeconds);
    const { requests, seconds: length, failed } = await load(bench.options.seconds);
    const loadedMemory = server.memory();
    say("jobs");
    const jobs = await measureJobs(bench, insulae, size);
    return {
      ...{ tenants: size, cached, startMs: server.startMs, idleMemory, idleShare, hourlyMs },
      ...{ requestsPerSecond: requests / length, failed, loadedMemory, ...jobs },
    };
  } finally {
    await server.stop();
    await bench.database.connected((client) => client.query("truncate control.jobs"));
  }
}

/** Queues background jobs of all tenants and, while some wait, one tenant's own job, repeatedly. */
async function measureJobs({ database }: Bench, insulae: Insulae, size: number) {
  return database.connected((client) =>
    insulae.withServices(async ({ platform }) => {
      const add = () => client.query(backlog, [firstSmallTenant, size, endUploadJob.name]);
      const waiting = async () => {
        const { rows } = await client.query<{ count: number }>(
          "select count(*)::integer as count from control.jobs where state = 'ready' and priority < 0",
        );
        return rows[0]?.count ?? 0;
      };
      await add();
      await client.query("analyze control.jobs");
      const [first, began] = [await waiting(), performance.now()];
      let left = first;
      while (left > 0 && performance.now() - began < drainSeconds * 1_000) {
        await sleep(20);
        left = await waiting();
      }
      const jobsPerSecond = (first - left) / ((performance.now() - began) / 1_000);

      const isDone = async (id: string) => {
        const text = "select from control.jobs where id = $1 and state = 'completed'";
        return (await client.query(text, [id])).rows.length > 0;
      };
      const delays: number[] = [];
      while (delays.length < ownJobs) {
        if ((await waiting()) < size / 2) await add();
        const tenant = await platform.tenants.get(tenantId(firstSmallTenant + delays.length * 7));
        const sentAt = performance.now();
        const data = { file_id: randomUUID() };
        const id = await platform.jobs.sendTo(tenant, endUploadJob, data);
        while (!(await isDone(id))) await sleep(2);
        delays.push(performance.now() - sentAt);
      }
      return { jobsPerSecond, delayMs: median(delays) };
    }),
  );
}

const backlog = `
  insert into control.jobs (id, queue, job, data, priority)
  select app.uuid_v7(), queue, $3, jsonb_build_object('file_id', app.uuid_v7()), -1
  from generate_series($1::integer, $1::integer + $2::integer - 1) as ordinal
  cross join lateral concat('${tenantId(0).slice(0, 24)}', lpad(ordinal::text, 12, '0')) as queue`;

function report(measured: readonly Measured[]): Section {
  return {
    title: "Many tenants",
    text:
      "The same server with so many tenants in the pool. While idle: start, memory, share of a processor, " +
      "and the hourly work for idle tenants. Then, with warm caches, lists of all tenants at random over 32 connections; a background " +
      "job of each, and the median time until a tenant's own job, sent while those wait, is done. " +
      `The last row has CACHED_TENANTS=${beside[3].cached}, so that all tenants stay cached.`,
    columns: [
      "tenants",
      "start",
      "memory",
      "idle",
      "hourly work",
      "lists/s",
      "memory after",
      "jobs/s",
      "own job",
    ],
    rows: measured.map((each) => [
      each.cached ? `${count(each.tenants)}, all remembered` : count(each.tenants),
      seconds(each.startMs),
      megabytes(each.idleMemory),
      percent(each.idleShare),
      milliseconds(each.hourlyMs),
      count(each.requestsPerSecond),
      megabytes(each.loadedMemory),
      count(each.jobsPerSecond),
      milliseconds(each.delayMs),
    ]),
    verdicts: verdicts(measured),
    data: measured,
  };
}

function verdicts(measured: readonly Measured[]): Verdict[] {
  const [few, many] = [measured.at(0), measured.at(-1)];
  if (!few || !many) return [];
  const against = `${count(many.tenants)} tenants beside ${count(few.tenants)}`;
  const ratio = (of: keyof Measured) => Number(many[of] ?? 0) / Number(few[of] ?? 1);
  const atLeast = (what: string, of: keyof Measured, least: number): Verdict => ({
    promise: `${what} with ${against}`,
    target: `≥ ${percent(least)}`,
    found: percent(ratio(of)),
    met: ratio(of) >= least,
  });
  const atMost = (what: string, of: keyof Measured, most: number): Verdict => ({
    promise: `${what} with ${against}`,
    target: `≤ ${times(most)}`,
    found: times(ratio(of)),
    met: ratio(of) <= most,
  });
  return [
    atLeast("lists a second", "requestsPerSecond", leastShareOfRequests),
    atLeast("jobs a second", "jobsPerSecond", leastShareOfJobs),
    atMost("the delay of a tenant's own job behind a job of each other", "delayMs", longestDelay),
    atMost("idle memory", "idleMemory", mostMemory),
    {
      promise: "failed requests with many tenants",
      target: "0",
      found: String(measured.reduce((sum, { failed }) => sum + failed, 0)),
      met: measured.every(({ failed }) => failed === 0),
    },
  ];
}
