/** Hosts and tenants that are registered while the server runs, and what is set for one host alone. */
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { type App, createApp, feature, Type } from "../src/index.ts";
import { addMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import type { TestApp } from "../src/testing/test-app.ts";

const data = feature("data", {
  routes: ({ absolute: r }) => [
    r.get(
      "/data",
      {
        permission: "public",
        context: "any",
        summary: "Whose host it is",
        response: Type.Object({ tenant: Type.String() }),
      },
      ({ tenant }) => ({ tenant: tenant?.key ?? "" }),
    ),
    r.post(
      "/data",
      {
        permission: "public",
        context: "any",
        audit: { none: "a test" },
        summary: "Takes a body",
        body: Type.Object({ text: Type.String() }),
        response: { 204: null },
      },
      () => {},
    ),
  ],
});

let app: TestApp;

beforeAll(async () => {
  app = await createTestApp({ features: [data] });
});
afterAll(() => app?.close());

const ask = async (
  host: string,
  { by = app, ...more }: { by?: App; [name: string]: unknown } = {},
) => by.inject({ url: "/data", ...more, headers: { host, ...Object(more.headers) } });
const tenantAt = async (host: string, by: App = app): Promise<string> =>
  // In development, a host that nobody has registered is answered with 421.
  (await ask(host, { by })).json().tenant ?? "";

/** A registered tenant with one host, `<key>.example`. */
async function registered(key: string, settings = {}) {
  const host = `${key}.example`;
  await app.hosts.register(host, { settings });
  return { host, tenant: await app.tenants.register(key, { hosts: [host] }) };
}

describe("registration", () => {
  test("a host, then its tenant; found again by either, and taken away again", async () => {
    await app.hosts.register("first.example.com", { tenant: "first" });
    await app.hosts.register("www.first.example.com");
    expect(await app.hosts.find("FIRST.example.com:8080")).toEqual({
      hostname: "first.example.com",
      tenantId: undefined,
      waitsFor: "first",
      settings: {},
    });
    expect(await tenantAt("first.example.com")).toBe("");
    const hosts = ["www.first.example.com", "first.example.com"];
    const tenant = await app.tenants.register("first", { hosts, isolation: "schema" });
    expect(tenant).toMatchObject({ key: "first", name: "first", hosts: hosts.toSorted() });
    expect((await app.tenants.find("first"))?.hosts).toEqual(hosts.toSorted());
    for (const host of hosts) expect(await tenantAt(host)).toBe("first");
    expect(await app.hosts.find("first.example.com")).toMatchObject({ tenantId: tenant.id });

    await app.hosts.unregister("www.first.example.com");
    expect(await tenantAt("www.first.example.com")).toBe("");
    expect((await app.tenants.get("first")).hosts).toEqual(["first.example.com"]);
    // Without any host it is still there: it has data, and goes when somebody says so.
    await app.hosts.unregister("first.example.com");
    expect((await app.tenants.get("first")).hosts).toEqual([]);
  });

  test("is refused in words that say what is wrong", async () => {
    const { host } = await registered("rules");
    await app.hosts.register("kept.example", { tenant: "somebody" });
    const refused = async (work: Promise<unknown>, code: string, message: string) =>
      expect(await work.catch((error: unknown) => error)).toMatchObject({ code, message });
    const { hosts, tenants } = app;
    const taken = (name: string) => `host ${name} is already registered`;
    await refused(hosts.register(host), "host_taken", taken(host));
    await refused(hosts.register(host, { tenant: "rules" }), "host_taken", taken(host));
    await refused(hosts.register("KEPT.example."), "host_taken", taken("kept.example"));
    for (const own of [
      "localhost",
      "LOCALHOST.:8000",
      "127.0.0.1",
      "2130706433",
      "[::1]:8000",
      "203.0.113.7",
    ]) {
      await expect(hosts.register(own), own).rejects.toMatchObject({ code: "reserved_host" });
      const tenant = { key: "own", name: "Own", isolation: "pool", hosts: [own] } as const;
      await expect(tenants.create(tenant), own).rejects.toMatchObject({ code: "reserved_host" });
    }
    await expect(hosts.register("")).rejects.toMatchObject({ code: "invalid_host" });
    await expect(hosts.register("new.example", { tenant: "999999" })).rejects.toMatchObject({
      code: "tenant_not_found",
    });
    expect(await hosts.find("new.example")).toBeUndefined();
    await refused(
      tenants.register("nobody-yet", { hosts: [] }),
      "hosts_required",
      "The tenant needs at least one host. Name a registered one.",
    );
    await refused(
      tenants.register("nobody-yet", { hosts: ["nowhere.example"] }),
      "host_not_found",
      "host nowhere.example is not registered",
    );
    await refused(tenants.register("nobody-yet", { hosts: [host] }), "host_taken", taken(host));
    await refused(
      tenants.register("nobody-yet", { hosts: ["kept.example"] }),
      "host_taken",
      taken("kept.example"),
    );
    expect(await tenants.find("nobody-yet")).toBeUndefined();
    await hosts.register("free.example");
    await refused(
      tenants.register("rules", { hosts: ["free.example"] }),
      "tenant_exists",
      "tenant rules is already registered",
    );
    await expect(tenants.register("", { hosts: ["free.example"] })).rejects.toMatchObject({
      code: "invalid_tenant_key",
    });
    await refused(
      hosts.unregister("nowhere.example"),
      "host_not_found",
      "host nowhere.example is not registered",
    );
    await expect(tenants.unregister("nobody-yet")).rejects.toMatchObject({
      code: "tenant_not_found",
    });
  });

  test("a tenant that is unregistered leaves its hosts, for another one", async () => {
    const { host, tenant } = await registered("leaving");
    await app.tenants.unregister("leaving");
    expect(await app.tenants.find(tenant.id)).toBeUndefined();
    expect(await tenantAt(host)).toBe("");
    expect(await app.hosts.find(host)).toMatchObject({ tenantId: undefined });
    await app.tenants.register("arriving", { hosts: [host] });
    expect(await tenantAt(host)).toBe("arriving");
  });

  test("20 at once: one of those that want the same, and all of the others", async () => {
    const outcomes = async (work: readonly Promise<unknown>[]) => {
      const settled = await Promise.allSettled(work);
      const failed = settled.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
      return { done: settled.length - failed.length, failed: [...new Set(failed)] };
    };
    const times = Array.from({ length: 20 }, (_, i) => i);
    const same = times.map(() => app.hosts.register("one.race.example"));
    expect(await outcomes(same)).toEqual({ done: 1, failed: ["host_taken"] });
    const various = times.map((i) => app.hosts.register(`h${i}.race.example`));
    expect(await outcomes(various)).toEqual({ done: 20, failed: [] });
    // All want the same twenty, each in another order.
    const hosts = times.map((i) => `h${i}.race.example`);
    const greedy = times.map((i) =>
      app.tenants.register(`race-${i}`, { hosts: [...hosts.slice(i), ...hosts.slice(0, i)] }),
    );
    expect(await outcomes(greedy)).toEqual({ done: 1, failed: ["host_taken"] });
    const mine = new Set(await Promise.all(hosts.map((host) => tenantAt(host))));
    expect(mine.size).toBe(1);
    expect([...mine][0]).toMatch(/^race-\d+$/);
  });

  test("is kept, and counts on every node", async () => {
    const { host } = await registered("nodes");
    const second = await createApp({
      env: {},
      features: [data],
      config: { ...app.config },
      log: pino({ level: "silent" }),
    });
    onTestFinished(() => second.close());
    expect(await tenantAt(host, second)).toBe("nodes");
    expect(await tenantAt("later.example", second)).toBe("");
    await app.hosts.register("later.example", { tenant: "nodes" });
    await expect.poll(() => tenantAt("later.example", second)).toBe("nodes");
    await app.hosts.update("later.example", { frameOptions: "DENY" });
    await vi.waitFor(async () =>
      expect((await ask("later.example", { by: second })).headers["x-frame-options"]).toBe("DENY"),
    );
    await app.tenants.unregister("nodes");
    await expect.poll(() => tenantAt(host, second)).toBe("");
  });
});

describe("what is set for a host", () => {
  test("a limit: 429 to the fourth of three, and nothing to another tenant's", async () => {
    const rateLimit = { requestsPerSecond: 0.05, burst: 3 };
    const one = await registered("limited", { rateLimit });
    const two = await registered("limited-too", { rateLimit });
    await app.hosts.register("open.limited.example", { tenant: "limited" });
    const statuses = async (host: string, count: number) => {
      const seen: number[] = [];
      for (let i = 0; i < count; i += 1) seen.push((await ask(host)).statusCode);
      return seen;
    };
    expect(await statuses(one.host, 2)).toEqual([200, 200]);
    const third = await ask(one.host.toUpperCase());
    expect([third.statusCode, third.headers]).toMatchObject([
      200,
      {
        "x-ratelimit-limit": "3",
        "x-ratelimit-remaining": "0",
        "ratelimit-policy": '"host";q=3;w=60',
      },
    ]);
    const refused = await ask(one.host);
    expect(refused.json()).toMatchObject({ code: "rate_limit_exceeded", limit: 3, window: 60 });
    expect(refused.headers).toMatchObject({
      "x-ratelimit-limit": "3",
      "x-ratelimit-remaining": "0",
      "retry-after": "20",
    });
    // Somebody who is signed in is at the same host.
    const { token } = await addMember(app, one.tenant, "user");
    const headers = { authorization: `Bearer ${token}` };
    expect((await ask(one.host, { headers })).statusCode).toBe(429);
    expect((await ask("open.limited.example", { headers })).statusCode).toBe(200);
    expect(await statuses(two.host, 4)).toEqual([200, 200, 200, 429]);
  });

  test("a size: 413 beyond it, 411 where it is not known", async () => {
    const { host } = await registered("small", { maxRequestBytes: 20 });
    const post = async (text: string, headers: object = {}) =>
      (
        await ask(host, {
          method: "POST",
          payload: JSON.stringify({ text }),
          headers: { "content-type": "application/json", ...headers },
        })
      ).statusCode;
    expect(await post("short")).toBe(204);
    expect(await post("longer than is allowed")).toBe(413);
    expect(await post("short", { "transfer-encoding": "chunked" })).toBe(411);
    await app.hosts.update(host, {});
    expect(await post("longer than is allowed")).toBe(204);
  });

  test("frames and origins, at this host alone", async () => {
    const corsOrigins = ["https://pages.example"];
    const { host } = await registered("framed", { frameOptions: "SAMEORIGIN", corsOrigins });
    await app.hosts.register("other.framed.example", { tenant: "framed" });
    const headers = { origin: "https://pages.example" };
    const allowed = (await ask(host, { headers })).headers;
    expect(allowed).toMatchObject({
      "x-frame-options": "SAMEORIGIN",
      "content-security-policy": "default-src 'none'; frame-ancestors 'self'",
      "access-control-allow-origin": "https://pages.example",
    });
    const other = (await ask("other.framed.example", { headers })).headers;
    expect(other).not.toHaveProperty("x-frame-options");
    expect(other).not.toHaveProperty("access-control-allow-origin");
    expect(other["content-security-policy"]).toContain("frame-ancestors 'none'");
  });

  test("is refused with the path of what is wrong", async () => {
    const wrong = { rateLimit: { requestsPerSecond: 0, burst: 1.5 } };
    const pointers = async (work: Promise<unknown>) =>
      Object(await work.catch((error: unknown) => error)).errors.map(
        ({ pointer }: { pointer: string }) => pointer,
      );
    const expected = ["/settings/rateLimit/requestsPerSecond", "/settings/rateLimit/burst"];
    expect(await pointers(app.hosts.register("wrong.example", { settings: wrong }))).toEqual(
      expected,
    );
    expect(await app.hosts.find("wrong.example")).toBeUndefined();
    await app.hosts.register("right.example");
    expect(await pointers(app.hosts.update("right.example", wrong))).toEqual(expected);
    const more = { tenant: "acme" } as object;
    expect(await pointers(app.hosts.update("right.example", more))).toEqual(["/settings/tenant"]);
    await expect(app.hosts.update("nowhere.example", {})).rejects.toMatchObject({
      code: "host_not_found",
    });
  });
});
