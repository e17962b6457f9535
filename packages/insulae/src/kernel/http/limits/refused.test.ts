import { describe, expect, test, vi } from "vitest";
import { createOrigins } from "../request/origins.ts";
import { granted, serve, tenant } from "./limits-fixture.ts";

describe("a request that will be refused", () => {
  const another = { "x-tenant": "another" };

  test("of a known caller with an empty bucket causes no look-up", async () => {
    const { statuses, looked } = serve([tenant("a")]);
    expect(granted(await statuses(30, { token: "a" }))).toBe(6);
    // The request that emptied the bucket still needed look-ups.
    expect(looked).toHaveBeenCalledTimes(6);
  });

  test("for another tenant is charged to the caller, not to their address", async () => {
    const { ask, statuses, looked } = serve([tenant("a"), tenant("b")]);
    const tried = await statuses(30, { token: "a", headers: another });
    expect(tried).toEqual([...Array(6).fill(403), ...Array(24).fill(429)]);
    expect(looked).toHaveBeenCalledTimes(6);
    expect((await ask({ token: "a" })).headers["ratelimit-policy"]).toBe('"tenant";q=6;w=60');
    // Neither strangers at that address nor other tenants are affected.
    expect(granted(await statuses(6, { token: "b" }))).toBe(6);
    expect(granted(await statuses(10, {}))).toBe(10);
  });

  test("is checked again as soon as the tenant's limit is raised", async () => {
    const tenants = [tenant("a")];
    const { statuses } = serve(tenants);
    await statuses(10, { token: "a" });
    tenants[0] = tenant("a", "premium");
    expect(await statuses(2, { token: "a" })).toEqual([200, 200]);
  });

  test("does not let ended credentials use up the tenant's rate", async () => {
    const tenants = [tenant("a", "premium"), tenant("b")];
    const { statuses } = serve(tenants);
    expect(await statuses(1, { token: "b" })).toEqual([200]);
    tenants.pop();
    const ended = await statuses(30, { token: "b" });
    expect(ended).toEqual([...Array(10).fill(401), ...Array(20).fill(429)]);
    expect(granted(await statuses(60, { token: "a", from: "198.51.100.2" }))).toBe(60);
  });

  test("to an unknown address has its body ignored", async () => {
    const { app } = serve([]);
    const reply = await app.inject({
      method: "POST",
      url: "/api/v1/nothing",
      headers: { "content-type": "application/json" },
      payload: `{"not": json`,
    });
    expect(reply.json()).toMatchObject({ status: 404, code: "not_found" });
  });

  test("is resolved first if its tenant is not cached and can't be loaded", async () => {
    const away = () => Promise.reject(new Error("the database is away"));
    const { statuses } = serve([tenant("a")], {}, {}, away);
    expect(await statuses(8, { token: "a" })).toEqual([...Array(6).fill(200), 429, 429]);
  });

  test("names its limit, the amount and the setting", async () => {
    const { ask, statuses } = serve([tenant("a")]);
    await statuses(6, { token: "a" });
    expect((await ask({ token: "a" })).json()).toMatchObject({
      policy: "tenant",
      limit: 6,
      window: 60,
      setting: "RATE_LIMIT_PLANS",
      detail: expect.stringContaining("RATE_LIMIT_PLANS"),
    });
    const logIn = { method: "POST", url: "/api/v1/log-in" } as const;
    await statuses(3, logIn);
    expect((await ask(logIn)).json()).toMatchObject({
      policy: "credentials",
      limit: 3,
      setting: "RATE_LIMIT_CREDENTIALS",
    });
  });
});

describe("a refusal for a page of an allowed origin", () => {
  const listed = "https://app.example.org";
  const ofTenant = "https://shop.example.net";
  const unread = "https://unread.example.net";
  const foreign = "https://evil.example";
  const acme = {
    ...tenant("a"),
    status: "active",
    slug: "a",
    hosts: [],
    settings: { cors_origins: [ofTenant, unread] },
  } as unknown as ReturnType<typeof tenant>;
  const served = () => {
    const findTenant = vi.fn(async (_host: string) => acme);
    const server = serve([acme], undefined, {
      cors: {
        origins: createOrigins({
          platform: [listed],
          baseUrl: () => "http://localhost",
          baseDomain: "localhost",
          findTenant,
          findKnownTenant: (host) => (host === "a.localhost" ? acme : undefined),
        }),
        credentials: true,
      },
    });
    return { ...server, findTenant };
  };
  const pages = [
    { origin: listed, host: "localhost", shown: true },
    { origin: ofTenant, host: "a.localhost", shown: true },
    { origin: unread, host: "b.localhost", shown: false },
    { origin: foreign, host: "a.localhost", shown: false },
  ];

  test.each([
    ["a stranger's bucket", {}],
    ["a tenant's bucket", { token: "a" }],
    ["the bucket for credentials", { method: "POST", url: "/api/v1/log-in" }],
    ["an address where there is nothing", { url: "/nowhere" }],
  ] as const)("can be read by the page: %s", async (_name, request) => {
    const { ask, statuses, findTenant } = served();
    await statuses(11, request);
    for (const { shown, ...headers } of pages) {
      const { statusCode, headers: answered } = await ask({ ...request, headers });
      expect(statusCode).toBe(429);
      expect(answered["access-control-allow-origin"]).toBe(shown ? headers.origin : undefined);
      if (!shown) continue;
      expect(answered["access-control-allow-credentials"]).toBe("true");
      expect(answered["access-control-expose-headers"]).toContain("retry-after");
    }
    expect(findTenant).not.toHaveBeenCalled();
  });

  test("comes after a granted preflight, unless that needs a look-up", async () => {
    const { ask, statuses, findTenant } = served();
    await statuses(11, {});
    for (const { shown, ...headers } of pages) {
      const asked = { ...headers, "access-control-request-method": "POST" };
      const { statusCode } = await ask({ method: "OPTIONS", headers: asked });
      expect(statusCode).toBe(shown ? 204 : 429);
    }
    expect(findTenant).not.toHaveBeenCalled();
  });
});
