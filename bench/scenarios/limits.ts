/**
 * The cost of rate limiting per request, from the known caller to the response headers, for users
 * of 1000 tenants in turn. In memory it is processor time; with Redis it is also waiting, so 32
 * requests run concurrently, as over 32 connections.
 */
import { createLimiter } from "../../packages/insulae/src/kernel/http/limits/limiter.ts";
import {
  createRequestLimits,
  type RequestLimits,
} from "../../packages/insulae/src/kernel/http/limits/request-limits.ts";
import { connectRedis } from "../../packages/insulae/src/kernel/redis/redis.ts";
import { createLogger } from "../../packages/insulae/src/kernel/telemetry/log.ts";
import { createMetrics } from "../../packages/insulae/src/kernel/telemetry/metrics.ts";
import { tenantCount, tenantId } from "../dataset.ts";
import { startRedis } from "../redis.ts";
import type { Bench, Section } from "../scenario.ts";
import { median, quantile } from "../statistics.ts";

const atOnce = 32;
const largestMicroseconds = 10;

type State = Parameters<RequestLimits["chargeCaller"]>[0];

interface Cost {
  /** The total time, divided by the number of requests. */
  readonly microseconds: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

export async function limits(bench: Bench): Promise<Section> {
  bench.progress("limits: in memory");
  const memory = await inMemory();
  const server = await startRedis();
  try {
    bench.progress(server ? "limits: with Redis" : "limits: no redis-server on the PATH, left out");
    return report(memory, server && (await withRedis(server.url)));
  } finally {
    await server?.stop();
  }
}

const rates = {
  global: 1_000_000_000,
  plans: { free: 1_000_000_000 },
  account: 1,
  anonymous: 100,
  credentials: 5,
};

/** One user of each tenant, already resolved. */
function requests(limits: RequestLimits): (() => Promise<void> | void)[] {
  return Array.from({ length: tenantCount }, (_, i) => {
    const id = tenantId(i + 1);
    const caller = {
      tenant: { id, plan: "free", settings: {} },
      user: { kind: "tenant", tenantId: id },
    };
    const request = {
      headers: { authorization: `Bearer ${"x".repeat(500)}${id}${"y".repeat(50)}` },
      socket: {},
    };
    const client = { address: "192.0.2.1", block: "192.0.2.1", networks: [] };
    const state = { request, reply: { header() {} }, client, caller, isPaidAhead: false };
    return () => {
      const known = state as unknown as State; // only what limiting reads
      limits.refuseIfExhausted(known);
      return limits.chargeCaller(known, undefined);
    };
  });
}

async function inMemory(): Promise<Cost> {
  const steps = createRequestLimits({
    findTenant: () => undefined,
    limits: rates,
    metrics: createMetrics(),
    limiter: createLimiter(),
  });
  const calls = requests(steps);
  const round = (): number => {
    const began = performance.now();
    for (let i = 0; i < 200; i += 1) for (const call of calls) call();
    return ((performance.now() - began) * 1000) / (200 * calls.length);
  };
  round();
  return { microseconds: median([round(), round(), round(), round(), round()]) };
}

async function withRedis(url: string): Promise<Cost> {
  const redis = await connectRedis({ url, timeoutMs: 1_000, log: createLogger("warn") });
  try {
    const steps = createRequestLimits({
      findTenant: () => undefined,
      limits: rates,
      metrics: createMetrics(),
      limiter: createLimiter({ redis }),
    });
    const calls = requests(steps);
    const waits: number[] = [];
    let next = 0;
    const client = async (count: number) => {
      for (let i = 0; i < count; i += 1) {
        const sent = performance.now();
        await calls[next++ % calls.length]?.();
        waits.push(performance.now() - sent);
      }
    };
    const round = async (count: number): Promise<number> => {
      const began = performance.now();
      await Promise.all(Array.from({ length: atOnce }, () => client(count)));
      return ((performance.now() - began) * 1000) / (count * atOnce);
    };
    await round(500);
    waits.length = 0;
    const microseconds = median([await round(1_000), await round(1_000), await round(1_000)]);
    return { microseconds, p50Ms: quantile(waits, 0.5), p99Ms: quantile(waits, 0.99) };
  } finally {
    await redis.close();
  }
}

function report(memory: Cost, redis: Cost | undefined): Section {
  const row = (what: string, { microseconds, p50Ms, p99Ms }: Cost) => [
    what,
    `${microseconds.toFixed(1)} µs`,
    p50Ms === undefined ? "–" : `${p50Ms.toFixed(2)} ms`,
    p99Ms === undefined ? "–" : `${p99Ms.toFixed(2)} ms`,
  ];
  return {
    title: "Rate limits",
    text:
      "The cost of limiting a request of a tenant's user, including response headers. " +
      `With Redis, one script for all buckets of the request, ${atOnce} requests at once, on the same cores.`,
    columns: ["buckets", "time per request", "wait p50", "p99"],
    rows: [row("in memory", memory), ...(redis ? [row("in Redis", redis)] : [])],
    verdicts: [
      {
        promise: "limiting a request, in memory",
        target: `≤ ${largestMicroseconds} µs`,
        found: `${memory.microseconds.toFixed(1)} µs`,
        met: memory.microseconds <= largestMicroseconds,
      },
    ],
    data: { memory, redis },
  };
}
