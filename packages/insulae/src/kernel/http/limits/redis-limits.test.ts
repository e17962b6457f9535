import { pino } from "pino";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createApp } from "../../../app/app.ts";
import { createMember } from "../../../testing/fixtures.ts";
import { createTestApp } from "../../../testing/test-app.ts";
import { describeWithRedis, startTestRedis, type TestRedis } from "../../../testing/test-redis.ts";
import { feature } from "../../feature/feature.ts";
import { connectRedis, type Redis } from "../../redis/redis.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { callerFor, testServer } from "../server/test-server.ts";
import { createLimiter } from "./limiter.ts";
import type { Charge, Policy } from "./local-buckets.ts";
import { createRequestLimits } from "./request-limits.ts";

let server: TestRedis;
const nodes: Redis[] = [];

const connect = async (timeoutMs = 5_000): Promise<Redis> => {
  const redis = await connectRedis({ url: server.url, timeoutMs, log: pino({ level: "silent" }) });
  nodes.push(redis);
  return redis;
};
const charge = (key: string, perMinute: number, policy: Policy = "tenant"): Charge => ({
  policy,
  key,
  perMinute,
});

/** What a bucket may have regained since, on slow machines. */
const sinceThen = (perMinute: number) => {
  const began = Date.now();
  return () => Math.floor(((Date.now() - began) * perMinute) / 60_000);
};

describeWithRedis("limits in redis", () => {
  beforeEach(async () => {
    server = await startTestRedis();
  });
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.close()));
    await server.stop();
  });

  test("are exact across two nodes", async () => {
    const config = {
      redisUrl: server.url,
      redisTimeoutMs: 5_000,
      rateLimits: { global: 0, plans: { free: 40 }, account: 0, anonymous: 0, credentials: 0 },
    };
    const one = await createTestApp({ config });
    const env = { PUBLIC_URL: one.config.baseUrl };
    const two = await createApp({ env, config: one.config, log: pino({ level: "silent" }) });
    try {
      const { token } = await createMember(one);
      const headers = { authorization: `Bearer ${token}` };
      const regained = sinceThen(40);
      const replies = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          (i % 2 ? one : two).inject({ url: "/api/v1/contacts", headers }),
        ),
      );
      const granted = replies.filter(({ statusCode }) => statusCode === 200).length;
      expect(granted).toBeGreaterThanOrEqual(40);
      expect(granted).toBeLessThanOrEqual(40 + regained());
      const others = replies.filter(({ statusCode }) => statusCode !== 200);
      expect(new Set(others.map(({ statusCode }) => statusCode))).toEqual(new Set([429]));
    } finally {
      await two.close();
      await one.close();
    }
  });

  test("are charged together or not at all, at any rate", async () => {
    const limiters = [await connect(), await connect()].map((redis) => createLimiter({ redis }));
    const all = charge("all", 1_000_000_000, "global");
    const [few, more] = [charge("few", 5), charge("more", 7)];
    const granted = async (count: number, ...charges: Charge[]) => {
      const outcomes = await Promise.all(
        Array.from({ length: count }, (_, i) => limiters[i % 2]?.take(charges)),
      );
      return outcomes.filter((outcome) => outcome?.refused === -1).length;
    };
    const regained = sinceThen(7);
    expect(await granted(50, all, few)).toBe(5);
    expect(await granted(50, few, more)).toBe(0);
    // A bucket that holds more than it regains in a minute.
    expect(await granted(50, { ...charge("own", 1, "host"), size: 4 })).toBe(4);
    const left = await granted(50, all, more);
    expect(left).toBeGreaterThanOrEqual(7);
    expect(left).toBeLessThanOrEqual(7 + regained());
  });

  test("leave nothing in redis once a bucket is full again", async () => {
    const limiter = createLimiter({ redis: await connect() });
    await limiter.take([charge("quick", 60_000)]);
    await expect.poll(() => server.command("DBSIZE")).toBe(0);
  });

  test("don't query redis for a bucket that is known to be empty", async () => {
    const redis = await connect();
    const limiter = createLimiter({ redis });
    const run = vi.spyOn(redis, "run");
    for (let i = 0; i < 100; i += 1) await limiter.take([charge("a", 2)]);
    expect(run).toHaveBeenCalledTimes(2);
  });
});

/** Each makes Redis unavailable, and restores it. */
const outages: Record<string, [take: () => Promise<unknown>, giveBack: () => Promise<unknown>]> = {
  "is killed": [() => server.kill(), () => server.restart()],
  hangs: [async () => server.pause(), async () => server.resume()],
  "is read-only": [
    () => server.command("REPLICAOF", "127.0.0.1", "1"),
    () => server.command("REPLICAOF", "NO", "ONE"),
  ],
  "is full": [
    () => server.command("CONFIG", "SET", "maxmemory", "1"),
    () => server.command("CONFIG", "SET", "maxmemory", "0"),
  ],
};

describeWithRedis("limits, while redis is away", () => {
  beforeEach(async () => {
    server = await startTestRedis();
  });
  afterEach(async () => {
    server.resume();
    await Promise.all(nodes.splice(0).map((node) => node.close()));
    await server.stop();
  });

  test.each(Object.entries(outages))("continue in the process when it %s", async (_how, outage) => {
    const redis = await connect(250);
    const asked = vi.spyOn(redis, "run");
    const logIn = serve(redis);
    const [take, giveBack] = outage;
    expect([await logIn("a"), await logIn("a")]).toEqual([200, 200]);

    await take();
    // Empty buckets stay empty; new ones are limited here.
    asked.mockClear();
    expect([await logIn("a"), await logIn("a"), await logIn("a")]).toEqual([200, 429, 429]);
    const others = [];
    for (let i = 0; i < 8; i += 1) others.push(await logIn("b"));
    expect(others).toEqual([200, 200, 200, 429, 429, 429, 429, 429]);
    // Redis was tried once, failed, and was then left alone.
    expect(asked.mock.calls.length).toBeLessThanOrEqual(1);

    await giveBack();
    await vi.waitFor(() => expect(redis.isHere()).toBe(true), { timeout: 20_000 });
    const elsewhere = serve(await connect(5_000));
    expect(await logIn("c")).toBe(200);
    expect([await elsewhere("c"), await elsewhere("c")]).toEqual([200, 200]);
    expect([await elsewhere("c"), await logIn("c")]).toEqual([429, 429]);
  });
});

/** A node that allows three log-ins a minute. @returns a function that logs in from an address */
function serve(redis: Redis) {
  const { app } = testServer(
    [
      feature("accounts", {
        routes: (r) => [
          r.post(
            "/log-in",
            {
              permission: "public",
              context: "any",
              limit: "credentials",
              audit: { none: "a test" },
              summary: "Logs in",
              response: Type.Object({}),
            },
            () => ({}),
          ),
        ],
      }),
    ],
    {
      identify: () => callerFor(undefined),
      limits: createRequestLimits({
        findTenant: () => undefined,
        limits: { global: 1_000, plans: {}, account: 0, anonymous: 0, credentials: 3 },
        metrics: createMetrics(),
        limiter: createLimiter({ redis }),
      }),
    },
  );
  return async (name: string) => {
    const remoteAddress = `192.0.2.${name.charCodeAt(0)}`;
    return (await app.inject({ method: "POST", url: "/api/v1/log-in", remoteAddress })).statusCode;
  };
}
