import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { describeWithRedis, startTestRedis, type TestRedis } from "../../testing/test-redis.ts";
import { connectRedis, type Redis, RedisAbsent } from "./redis.ts";
import { defineScript } from "./script.ts";

let server: TestRedis;
let redis: Redis;
let lines: string[];

const connect = (url: string) =>
  connectRedis({
    url,
    timeoutMs: 250,
    log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line).msg) }),
  });
const ping = () => redis.run((client) => client.sendCommand(["PING"]));
const here = () => vi.waitFor(() => expect(redis.isHere()).toBe(true), { timeout: 20_000 });

describeWithRedis("redis itself", () => {
  beforeEach(async () => {
    lines = [];
    server = await startTestRedis();
    redis = await connect(server.url);
  });
  afterEach(async () => {
    await redis.close();
    await server.stop();
  });

  test("answers", async () => {
    expect(redis.isHere()).toBe(true);
    expect(await ping()).toBe("PONG");
  });

  test("is asked again as soon as it is back, by itself", async () => {
    await server.kill();
    await expect(ping()).rejects.toThrow(RedisAbsent);
    expect(redis.isHere()).toBe(false);
    await server.restart();
    await here();
    expect(await ping()).toBe("PONG");
    expect(lines).toEqual([
      "Redis is unavailable; continuing without it",
      "Redis is available again",
    ]);
  });

  test("costs those who wait one timeout when it hangs, and nobody after them", async () => {
    server.pause();
    const waiting = await Promise.allSettled([ping(), ping(), ping()]);
    expect(waiting.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(redis.isHere()).toBe(false);
    const asked = vi.fn(() => Promise.resolve());
    for (let i = 0; i < 100; i += 1) await expect(redis.run(asked)).rejects.toThrow(RedisAbsent);
    expect(asked).not.toHaveBeenCalled();
    server.resume();
    await here();
    expect(await ping()).toBe("PONG");
  });

  test("is left alone for a while after an error", async () => {
    await expect(redis.run((client) => client.sendCommand(["NOSUCH"]))).rejects.toThrow(
      RedisAbsent,
    );
    expect(redis.isHere()).toBe(false);
    await here();
    expect(await ping()).toBe("PONG");
    expect(lines).toEqual([]);
  });

  test("hears its channels, also after it was away", async () => {
    const heard: string[] = [];
    redis.subscribe("news", (message) => heard.push(message));
    const hears = (message: string) =>
      vi.waitFor(async () => {
        await server.command("PUBLISH", "news", message);
        expect(heard).toContain(message);
      });
    await hears("one");
    await server.kill();
    await server.restart();
    await here();
    await hears("two");
  });

  test("runs a script that it does not know yet, and again", async () => {
    const add = defineScript("return redis.call('incrby', KEYS[1], ARGV[1])");
    const run = () => redis.run((client) => add(client, ["count"], ["2"]));
    expect([await run(), await run()]).toEqual([2, 4]);
    await server.command("SCRIPT", "FLUSH");
    expect(await run()).toBe(6);
  });

  test("may be absent at the start", async () => {
    await redis.close();
    await server.kill();
    redis = await connect(server.url);
    expect(redis.isHere()).toBe(false);
    await server.restart();
    await here();
  });
});
