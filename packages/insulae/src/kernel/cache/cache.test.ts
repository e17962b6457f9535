import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { describeWithRedis, startTestRedis, type TestRedis } from "../../testing/test-redis.ts";
import { createFollowers, type Followers } from "../announcements/followers.ts";
import type { TenantId } from "../lib/ids.ts";
import { tenantKey } from "../lib/tenant-keys.ts";
import { connectRedis, type Redis } from "../redis/redis.ts";
import { type Caches, createCaches } from "./cache.ts";
import { createRedisEntries } from "./redis-entries.ts";

const a = "0190aaaa-0000-7000-8000-00000000000a" as TenantId;
const b = "0190bbbb-0000-7000-8000-00000000000b" as TenantId;
const megabyte = 1_048_576;

let lines: { msg: string }[];
let announced: string[];
let listening: boolean;
/** What each opened node receives. */
const heardBy = new Map<Caches, Followers>();
const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });

beforeEach(() => {
  lines = [];
  announced = [];
  listening = true;
});

const open = (redis?: Redis, maxBytes = 64 * megabyte): Caches => {
  const followers = createFollowers();
  const caches = createCaches({
    redis: redis && createRedisEntries(redis),
    announce: async (tenantId, id) => void announced.push(`${tenantId}:${id}`),
    follow: (reactions) => {
      followers.add(reactions);
      return () => listening;
    },
    maxBytes,
    log,
  });
  heardBy.set(caches, followers);
  return caches;
};

const hear = (caches: Caches, tenantId: TenantId, id: string): void =>
  heardBy.get(caches)?.hear(`cache:${tenantId}:${id}`);

/** A load that the test completes. */
const held = () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const load = vi.fn(() => promise);
  return { load, resolve };
};

const contract = (make: () => Caches) => {
  let caches: Caches;
  beforeEach(() => {
    caches = make();
  });
  afterEach(() => caches.close());

  test("keeps JSON until it expires or is deleted", async () => {
    const cache = caches.of(a);
    expect(await cache.get("none")).toBeUndefined();
    for (const value of [0, "", null, false, [], { a: [1, "två\n"] }]) {
      await cache.set("value", value);
      expect(await cache.get("value")).toEqual(value);
    }
    await cache.delete("value");
    expect(await cache.get("value")).toBeUndefined();
    await cache.set("short", 1, { ttl: 0.02 });
    await expect.poll(() => cache.get("short")).toBeUndefined();
    expect(caches.counts.hits).toBeGreaterThanOrEqual(6);
    expect(caches.counts.misses).toBeGreaterThanOrEqual(3);
  });

  test("adds concurrent increments until the value expires", async () => {
    const cache = caches.of(a);
    await caches.of(b).set("hits", 1_000);
    const sums = await Promise.all(Array.from({ length: 20 }, () => cache.increment("hits")));
    expect(sums.toSorted((one, other) => one - other)).toEqual(sums.map((_, i) => i + 1));
    expect(await cache.increment("hits", -25)).toBe(-5);
    expect(await cache.get("hits")).toBe(-5);
    expect(await caches.of(b).get("hits")).toBe(1_000);
    await cache.delete("hits");
    expect(await cache.increment("hits", 2, { tags: ["counts"] })).toBe(2);
    await cache.increment("hits");
    await cache.deleteTag("counts");
    expect(await cache.increment("hits")).toBe(1);
    await cache.increment("short", 1, { ttl: 0.02 });
    // Incrementing does not extend the lifetime.
    await expect.poll(() => cache.increment("short", 0)).toBe(0);
    await cache.set("text", "5");
    await expect(cache.increment("text")).rejects.toThrow(TypeError);
    await expect(cache.increment("hits", 0.5)).rejects.toThrow(TypeError);
  });

  test("clears a tenant's entries, also those being loaded, and no other's", async () => {
    const { load, resolve } = held();
    await caches.of(a).set("key", 1);
    await caches.of(b).set("key", 2);
    const loading = caches.of(a).getOrSet("slow", load);
    await expect.poll(() => load).toHaveBeenCalled();
    await caches.of(a).clear();
    resolve("old");
    expect(await loading).toBe("old");
    expect(await caches.of(a).get("slow")).toBeUndefined();
    expect(await caches.of(a).get("key")).toBeUndefined();
    expect(await caches.of(b).get("key")).toBe(2);
  });

  test("returns a fresh object to each caller", async () => {
    const cache = caches.of(a);
    const load = async () => ({ list: [1], at: new Date(0) });
    const first = await cache.getOrSet("key", load);
    first.list.push(2);
    expect(await cache.getOrSet("key", load)).toEqual({
      list: [1],
      at: "1970-01-01T00:00:00.000Z",
    });
  });

  test("never returns another tenant's value, whatever the keys", async () => {
    await caches.of(a).set("key", "a's");
    expect(await caches.of(b).get("key")).toBeUndefined();
    await caches.of(b).set("key", "b's", { tags: ["tag"] });
    await caches.of(a).deleteTag("tag");
    await caches.of(a).delete("key");
    expect(await caches.of(b).get("key")).toBe("b's");
    const cache = caches.of(a);
    const keys = ["a:b", "a%003Ab", "a b", "a", ":", "%", "ä", "a\u0308", "all", "ｋ"];
    for (const key of keys) await cache.set(key, key);
    for (const key of keys) expect(await cache.get(key)).toBe(key);
  });

  test("loads once for many concurrent callers", async () => {
    const { load, resolve } = held();
    const cache = caches.of(a);
    const asked = Array.from({ length: 50 }, () => caches.of(a).getOrSet("key", load));
    await expect.poll(() => load).toHaveBeenCalled();
    resolve("loaded");
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["loaded"]));
    expect(load).toHaveBeenCalledTimes(1);
    expect(await cache.get("key")).toBe("loaded");
  });

  test("an error goes to all waiting callers and is not cached; nor is undefined", async () => {
    const cache = caches.of(a);
    const fail = vi.fn(() => Promise.reject(new Error("no luck")));
    const asked = [cache.getOrSet("key", fail), cache.getOrSet("key", fail)];
    for (const { status } of await Promise.allSettled(asked)) expect(status).toBe("rejected");
    expect(fail).toHaveBeenCalledTimes(1);
    expect(await cache.getOrSet("key", () => undefined)).toBeUndefined();
    expect(await cache.getOrSet("key", () => 7)).toBe(7);
  });

  test("deleting a tag deletes all entries with it, and nothing else", async () => {
    const cache = caches.of(a);
    await cache.set("one", 1, { tags: ["prices", "eu"] });
    await cache.getOrSet("two", () => 2, { tags: ["prices"] });
    await cache.set("three", 3, { tags: ["eu"] });
    await cache.set("four", 4);
    await cache.deleteTag("prices");
    expect(await Promise.all(["one", "two", "three", "four"].map((key) => cache.get(key)))).toEqual(
      [undefined, undefined, 3, 4],
    );
    await cache.set("one", 1, { tags: ["prices"] });
    expect(await cache.get("one")).toBe(1);
  });

  test.each([
    ["key", (caches: Caches) => caches.of(a).delete("key")],
    ["tag", (caches: Caches) => caches.of(a).deleteTag("tag")],
  ])(
    "a value loaded while its %s is deleted is neither cached nor shared",
    async (_what, forget) => {
      const { load, resolve } = held();
      const cache = caches.of(a);
      const asked = cache.getOrSet("key", load, { tags: ["tag"] });
      await expect.poll(() => load).toHaveBeenCalled();
      await forget(caches);
      expect(await cache.getOrSet("key", () => "new", { tags: ["tag"] })).toBe("new");
      resolve("old");
      expect(await asked).toBe("old");
      expect(await cache.get("key")).toBe("new");
    },
  );

  test("refuses invalid keys, tags and lifetimes, and does not store huge values", async () => {
    const cache = caches.of(a);
    for (const key of ["", "k".repeat(1001), "half \ud800"]) {
      await expect(cache.get(key)).rejects.toThrow(RangeError);
      await expect(cache.set("key", 1, { tags: [key] })).rejects.toThrow(RangeError);
    }
    for (const ttl of [0, -1, Number.NaN, 86_401]) {
      await expect(cache.set("key", 1, { ttl })).rejects.toThrow(RangeError);
    }
    await expect(cache.set("key", undefined)).rejects.toThrow(TypeError);
    const tags = Array.from({ length: 17 }, String);
    await expect(cache.set("key", 1, { tags })).rejects.toThrow(RangeError);
    await cache.set("huge", 1);
    await cache.set("huge", "x".repeat(megabyte));
    expect(await cache.get("huge")).toBeUndefined();
    expect(await cache.getOrSet("huge", () => "y".repeat(megabyte))).toHaveLength(megabyte);
    expect(await cache.get("huge")).toBeUndefined();
  });
};

describe("the cache in the process", () => {
  contract(() => open());

  test("announces deletions to other nodes by an id that reveals nothing", async () => {
    const [here, there] = [open(), open()];
    await there.of(a).set("user:7:salary", 1, { tags: ["salaries"] });
    await there.of(a).set("other", 1);
    await here.of(a).delete("user:7:salary");
    await here.of(a).deleteTag("salaries");
    expect(announced).toEqual([
      expect.stringMatching(/:k[\w-]{27}$/),
      expect.stringMatching(/:t[\w-]{27}$/),
    ]);
    const [key = "", tag = ""] = announced.map((each) => each.split(":")[1] ?? "");
    hear(there, b, key);
    expect(await there.of(a).get("user:7:salary")).toBe(1);
    hear(there, a, key);
    expect(await there.of(a).get("user:7:salary")).toBeUndefined();
    await there.of(a).set("again", 1, { tags: ["salaries"] });
    hear(there, a, tag);
    expect(await there.of(a).get("again")).toBeUndefined();
    expect(await there.of(a).get("other")).toBe(1);
    heardBy.get(there)?.missSome();
    expect(await there.of(a).get("other")).toBeUndefined();
  });

  test("keeps entries for at most a second while announcements are not received", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const cache = open().of(a);
      await cache.set("key", 1);
      vi.advanceTimersByTime(1_001);
      expect(await cache.get("key")).toBe(1);
      listening = false;
      expect(await cache.get("key")).toBeUndefined();
      await cache.set("key", 2);
      vi.advanceTimersByTime(999);
      expect(await cache.get("key")).toBe(2);
      vi.advanceTimersByTime(2);
      expect(await cache.get("key")).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  });

  test("a tenant that stores too much evicts its own entries, and memory is bounded", async () => {
    const caches = open(undefined, megabyte);
    await caches.of(b).set("quiet", 1);
    for (let i = 0; i < 2_000; i += 1) await caches.of(a).set(`key${i}`, "x".repeat(100));
    expect(await caches.of(b).get("quiet")).toBe(1);
    expect(await caches.of(a).get("key1999")).toBeDefined();
    expect(await caches.of(a).get("key0")).toBeUndefined();
    let left = 0;
    for (let i = 0; i < 2_000; i += 1) left += Number((await caches.of(a).get(`key${i}`)) != null);
    expect(left).toBe(Math.floor(megabyte / 8 / (512 + 2 * (39 + 100))));
  });

  test("when all tenants store too much, those inactive longest are evicted first", async () => {
    const caches = open(undefined, megabyte);
    const tenants = Array.from({ length: 30 }, (_, i) => `${a}${i}` as TenantId);
    for (const tenant of tenants) {
      for (let i = 0; i < 100; i += 1) await caches.of(tenant).set(`key${i}`, "x".repeat(400));
    }
    const kept = await Promise.all(tenants.map((tenant) => caches.of(tenant).get("key99")));
    expect(kept[0]).toBeUndefined();
    expect(kept.at(-1)).toBeDefined();
    expect(kept.filter(Boolean).length).toBeLessThan(15);
    expect(kept.filter(Boolean).length).toBeGreaterThan(5);
  });
});

describeWithRedis("the cache in Redis", () => {
  let server: TestRedis;
  let redis: Redis;
  beforeAll(async () => {
    server = await startTestRedis();
    redis = await connectRedis({ url: server.url, timeoutMs: 1_000, log });
  });
  afterAll(async () => {
    await redis.close();
    await server.stop();
  });
  beforeEach(() => server.command("FLUSHALL"));
  const here = () => vi.waitFor(() => expect(redis.isHere()).toBe(true), { timeout: 20_000 });

  contract(() => open(redis));

  test("is shared by all nodes, without announcements", async () => {
    const [one, two] = [open(redis), open(redis)];
    await one.of(a).set("key", 1, { tags: ["tag"] });
    expect(await two.of(a).get("key")).toBe(1);
    await two.of(a).deleteTag("tag");
    expect(await one.of(a).get("key")).toBeUndefined();
    expect(announced).toEqual([]);
  });

  test("does not store what one node loads while another deletes it", async () => {
    const [one, two] = [open(redis), open(redis)];
    for (const forget of ["delete", "deleteTag"] as const) {
      const { load, resolve } = held();
      const asked = one.of(a).getOrSet(forget, load, { tags: [forget] });
      await expect.poll(() => load).toHaveBeenCalled();
      await two.of(a)[forget](forget);
      resolve("old");
      await asked;
      expect(await one.of(a).get(forget)).toBeUndefined();
    }
  });

  test("invalidates dependent entries if Redis loses a version", async () => {
    const cache = open(redis).of(a);
    await cache.set("key", 1, { tags: ["tag"] });
    const [tag] = (await server.command("KEYS", `${tenantKey(a, "cache")}:t*`)) as string[];
    await server.command("DEL", tag ?? "");
    expect(await cache.get("key")).toBeUndefined();
  });

  test("ignores and logs a value in another tenant's place", async () => {
    const caches = open(redis);
    await caches.of(a).set("key", "a's");
    const keys = (await server.command("KEYS", "*")) as string[];
    for (const key of keys) {
      await server.command("COPY", key, key.replace(a, b));
    }
    expect(await caches.of(b).get("key")).toBeUndefined();
    expect(await caches.of(b).getOrSet("key", () => "b's")).toBe("b's");
    expect(lines.map(({ msg }) => msg)).toContain(
      "The cache returned another tenant's value; ignoring it",
    );
  });

  test("gives every key a time to live, by default five minutes for values", async () => {
    await open(redis)
      .of(a)
      .getOrSet("key", () => 1, { tags: ["tag"] });
    const keys = (await server.command("KEYS", "*")) as string[];
    expect(keys).toHaveLength(3);
    const left = await Promise.all(
      keys.map(async (key) => Number(await server.command("PTTL", key))),
    );
    expect(Math.min(...left)).toBeGreaterThan(240_000);
    expect(Math.min(...left)).toBeLessThanOrEqual(300_000);
  });

  test("continues without Redis, and deleted entries do not reappear with it", async () => {
    const [one, two] = [open(redis), open(redis)];
    await one.of(a).set("key", "old");
    await one.of(b).set("key", "b's");
    server.pause();
    // Each costs at most a timeout; then nobody waits.
    expect(await one.of(a).getOrSet("key", () => "loaded")).toBe("loaded");
    await one.of(a).delete("key");
    expect(announced).toHaveLength(1);
    hear(two, a, announced[0]?.split(":")[1] ?? "");
    expect(await two.of(a).getOrSet("key", () => "new")).toBe("new");
    expect(await two.of(a).get("key")).toBe("new");
    server.resume();
    await here();
    expect(await one.of(a).get("key")).toBeUndefined();
    expect(await two.of(a).get("key")).not.toBe("old");
    await vi.waitFor(
      async () => {
        await one.of(a).set("probe", 1);
        expect(await two.of(a).get("probe")).toBe(1);
      },
      { timeout: 10_000 },
    );
    expect(await one.of(a).get("key")).not.toBe("old");
    expect(await one.of(b).get("key")).toBe("b's");
    one.close();
    two.close();
  });
});
