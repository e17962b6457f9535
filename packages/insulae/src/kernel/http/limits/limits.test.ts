import { describe, expect, test } from "vitest";
import { notFound } from "../../lib/http-errors.ts";
import { clock, granted, refused, serve, tenant } from "./limits-fixture.ts";

describe("a tenant's limit", () => {
  test("is its plan's, and the response says how much is left", async () => {
    const { ask } = serve([tenant("a")]);
    const { headers, statusCode } = await ask({ token: "a" });
    expect(statusCode).toBe(200);
    expect(headers).toMatchObject({
      "x-ratelimit-limit": "6",
      "x-ratelimit-remaining": "5",
      "x-ratelimit-retryafter": "0",
      ratelimit: '"tenant";r=5;t=10',
      "ratelimit-policy": '"tenant";q=6;w=60',
    });
    expect(headers).not.toHaveProperty("retry-after");
    const seconds = Number(headers["x-ratelimit-reset"]) - Date.now() / 1000;
    expect(Math.abs(seconds - 10)).toBeLessThan(5);
  });

  test("refuses when it is used up, with the time to wait, and affects no other tenant", async () => {
    const { ask, statuses } = serve([tenant("a"), tenant("b")]);
    expect(granted(await statuses(20, { token: "a" }))).toBe(6);
    const reply = await ask({ token: "a" });
    expect(reply.statusCode).toBe(429);
    expect(reply.headers["content-type"]).toContain("application/problem+json");
    expect(reply.json()).toMatchObject({
      code: "rate_limit_exceeded",
      title: "Rate limit exceeded",
      status: 429,
    });
    expect(reply.headers).toMatchObject({
      "retry-after": "10",
      "x-ratelimit-retryafter": "10",
      "x-ratelimit-remaining": "0",
      ratelimit: '"tenant";r=0;t=60',
    });
    expect(granted(await statuses(6, { token: "b" }))).toBe(6);
    clock.now += 10_000;
    expect(await statuses(2, { token: "a" })).toEqual([200, 429]);
  });

  test.each([
    ["its plan's", tenant("a", "premium"), 60],
    ["that of `free` for a plan without one", tenant("a", "constructor"), 6],
    ["what platform administrators set", tenant("a", "free", { requests_per_minute: 9 }), 9],
    ["its plan's where what they set is no number", tenant("a", "free", { other: 1 }), 6],
  ])("is %s", async (_what, of, expected) => {
    const { statuses } = serve([of]);
    expect(granted(await statuses(70, { token: "a" }))).toBe(expected);
  });

  test.each([
    ["an API key", { "x-api-key": "a" }],
    ["a cookie", { cookie: "session=a" }],
    ["a certificate", { "client-cert": "a" }],
  ])("is charged for %s, and not a stranger's", async (_what, headers) => {
    const { ask, statuses } = serve([tenant("a", "premium")]);
    expect(granted(await statuses(20, { headers }))).toBe(20);
    expect((await ask({ headers })).headers["ratelimit-policy"]).toBe('"tenant";q=60;w=60');
    await statuses(30, { token: "forged" });
    expect(await statuses(1, { headers })).toEqual([200]);
  });

  test("can be unlimited", async () => {
    const { ask, statuses } = serve([tenant("a", "free", { requests_per_minute: 0 })]);
    expect(granted(await statuses(100, { token: "a" }))).toBe(100);
    expect((await ask({ token: "a" })).headers).not.toHaveProperty("ratelimit");
  });

  test("is not used up by strangers", async () => {
    const { statuses } = serve([tenant("a")]);
    await statuses(30, { headers: { host: "a.localhost", "x-tenant": "a" } });
    await statuses(5, { token: "visitor", from: "198.51.100.3" });
    expect(granted(await statuses(6, { token: "a", from: "198.51.100.2" }))).toBe(6);
  });
});

describe("the other limits", () => {
  test("log-in is not refused because of other anonymous requests from the same address", async () => {
    const { statuses } = serve([]);
    await statuses(30, {});
    expect(await statuses(1, { method: "POST", url: "/api/v1/log-in" })).toEqual([200]);
  });

  test("strangers leave part of the installation's rate to known callers", async () => {
    const { ask, statuses } = serve([tenant("a", "premium")], { global: 40 });
    const seen: number[] = [];
    const logIn = { method: "POST", url: "/api/v1/log-in" } as const;
    for (let i = 0; i < 10; i += 1) {
      seen.push(...(await statuses(5, { from: `203.0.113.${i}` })));
      seen.push(...(await statuses(2, { ...logIn, from: `203.0.113.${i}` })));
    }
    // Half of it is for strangers, a quarter for log-ins.
    expect(granted(seen)).toBe(30);
    expect((await ask({ from: "203.0.113.99" })).json()).toMatchObject({
      policy: "global",
      setting: "RATE_LIMIT_GLOBAL",
    });
    expect(granted(await statuses(20, { token: "a", from: "203.0.113.200" }))).toBe(10);
  });

  test("an account outside tenants has its own rate", async () => {
    const { statuses } = serve([]);
    expect(granted(await statuses(30, { token: "account" }))).toBe(20);
  });

  test("all requests share one rate, which is not reported until it is used up", async () => {
    const { ask, statuses } = serve([tenant("a"), tenant("b")], { global: 8 });
    expect(granted(await statuses(5, { token: "a" }))).toBe(5);
    expect(granted(await statuses(5, { token: "b" }))).toBe(3);
    expect((await ask({ token: "b" })).headers["ratelimit-policy"]).toBe('"global";q=8;w=60');
  });

  test("a tenant's refused requests don't count against all", async () => {
    const { statuses } = serve([tenant("a"), tenant("b")], { global: 12 });
    await statuses(100, { token: "a" });
    expect(granted(await statuses(6, { token: "b" }))).toBe(6);
  });

  test("a log-in is charged to the client before any look-up", async () => {
    const { ask, statuses, looked } = serve([]);
    const logIn = { method: "POST", url: "/api/v1/log-in" } as const;
    expect(await statuses(5, logIn)).toEqual([200, 200, 200, 429, 429]);
    expect(looked).toHaveBeenCalledTimes(3);
    expect((await ask(logIn)).headers["ratelimit-policy"]).toBe('"credentials";q=3;w=60');
    expect(granted(await statuses(3, { ...logIn, from: "198.51.100.2" }))).toBe(3);
    // A valid token does not bypass it.
    expect(await statuses(1, { ...logIn, token: "account" })).toEqual([429]);
  });

  test("an anonymous request is charged to the client before any look-up", async () => {
    const { statuses, looked } = serve([]);
    expect(granted(await statuses(30, {}))).toBe(10);
    expect(looked).toHaveBeenCalledTimes(10);
  });

  test("invalid credentials count as none, and soon are not even checked", async () => {
    const { statuses, looked } = serve([]);
    const tried = await statuses(30, { token: "forged" });
    expect(tried.slice(0, 10)).toEqual(Array(10).fill(401));
    expect(refused(tried)).toBe(20);
    expect(looked).toHaveBeenCalledTimes(10);
    expect(await statuses(1, {})).toEqual([429]);
  });

  test("credentials that were valid before are checked, whoever else uses the address", async () => {
    const { statuses } = serve([tenant("a"), tenant("b")]);
    expect(await statuses(1, { token: "a" })).toEqual([200]);
    await statuses(30, { token: "forged" });
    expect(await statuses(2, { token: "a" })).toEqual([200, 200]);
    expect(await statuses(1, { token: "b" })).toEqual([429]);
    expect(await statuses(1, { token: "b", from: "198.51.100.2" })).toEqual([200]);
  });

  test("a failure of the server is not charged to the client", async () => {
    const { statuses } = serve(
      [],
      {},
      {
        identify: () => {
          throw new Error("the database is away");
        },
      },
    );
    expect(await statuses(30, { token: "a" })).toEqual(Array(30).fill(500));
  });

  test.each([
    ["addresses where there is nothing", "/api/v1/nothing", notFound.status],
    ["the API reference", "/swagger-ui", 200],
  ])("%s count as anonymous", async (_what, url, status) => {
    const { statuses } = serve([]);
    const seen = await statuses(12, { url });
    expect(seen).toEqual([...Array(10).fill(status), 429, 429]);
  });

  test("health is not limited", async () => {
    const { statuses } = serve([], { global: 5 });
    expect(granted(await statuses(50, { url: "/health/ready" }))).toBe(50);
  });
});

describe("a client", () => {
  const logIn = { method: "POST", url: "/api/v1/log-in" } as const;

  test("is one within a /64, however its address is written", async () => {
    const { ask } = serve([]);
    const statuses: number[] = [];
    for (const from of [
      "2001:db8:0:7::1",
      "2001:DB8::7:0:0:0:2",
      "2001:0db8:0000:0007:ffff:ffff:ffff:ffff",
      "2001:db8:0:7:1234::",
    ]) {
      statuses.push((await ask({ ...logIn, from })).statusCode);
    }
    expect(statuses).toEqual([200, 200, 200, 429]);
    expect((await ask({ ...logIn, from: "2001:db8:0:8::1" })).statusCode).toBe(200);
  });

  test("shares the rates of its /56 and /48", async () => {
    const { ask } = serve([], { global: 0 });
    const spend = async (network: (i: number) => string, count: number) => {
      let allowed = 0;
      for (let i = 0; i < count; i += 1) {
        const { statusCode } = await ask({ ...logIn, from: network(i) });
        if (statusCode === 200) allowed += 1;
      }
      return allowed;
    };
    // Each is a /64 of its own.
    expect(await spend((i) => `2001:db8:0:${i.toString(16)}::1`, 100)).toBe(3 * 8);
    // Each is a /56 of its own.
    const each = (i: number) => `2001:db8:0:${(256 * (i + 1)).toString(16)}::1`;
    expect(await spend((i) => each(i % 200), 400)).toBe(3 * 64 - 3 * 8);
    expect(await spend((i) => `2001:db8:1:${i}00::1`, 1)).toBe(1);
  });

  test("is the same over IPv4 and as IPv4 in IPv6", async () => {
    const { statuses } = serve([]);
    expect(granted(await statuses(3, { ...logIn, from: "203.0.113.7" }))).toBe(3);
    expect(await statuses(1, { ...logIn, from: "::ffff:203.0.113.7" })).toEqual([429]);
  });

  test("is not identified by X-Forwarded-For, except from a trusted proxy", async () => {
    const forged = serve([]);
    const trusted = serve([], {}, { trustProxy: ["198.51.100.1"] });
    const statuses: number[][] = [[], []];
    for (let i = 0; i < 5; i += 1) {
      const headers = { "x-forwarded-for": `192.0.2.${i}` };
      statuses[0]?.push((await forged.ask({ ...logIn, headers })).statusCode);
      // The client's part is to the left of the proxy's.
      const behind = { "x-forwarded-for": `192.0.2.${i}, 203.0.113.9` };
      statuses[1]?.push((await trusted.ask({ ...logIn, headers: behind })).statusCode);
    }
    const expected = [200, 200, 200, 429, 429];
    expect(statuses).toEqual([expected, expected]);
    const other = { "x-forwarded-for": "203.0.113.10" };
    expect((await trusted.ask({ ...logIn, headers: other })).statusCode).toBe(200);
  });

  test("is its proxy if that names no address", async () => {
    const { ask } = serve([], {}, { trustProxy: ["198.51.100.1"] });
    const seen: number[] = [];
    for (const name of ["unknown", "_hidden", "nobody", "1.2.3"]) {
      const headers = { "x-forwarded-for": name };
      seen.push((await ask({ ...logIn, headers })).statusCode);
    }
    expect(seen).toEqual([200, 200, 200, 429]);
  });
});
