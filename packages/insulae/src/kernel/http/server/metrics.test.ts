import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { feature } from "../../feature/feature.ts";
import type { TenantId } from "../../lib/ids.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTenantMetrics } from "../../telemetry/tenant-metrics.ts";
import { echo, testServer } from "./test-server.ts";

const token = "a token for scrapers";

const things = feature("things", {
  routes: (r) => [
    r.get(
      "/things/:id",
      {
        permission: "public",
        summary: "One thing",
        params: Type.Object({ id: Type.String() }),
        response: Type.Unknown(),
      },
      ({ params }) => {
        if (params.id === "broken") throw new Error("it is broken");
        return params;
      },
    ),
  ],
});

type App = ReturnType<typeof testServer>["app"];

/** The series of a metric, by their labels. */
async function series(app: App, name: string): Promise<Record<string, number>> {
  const { body } = await app.inject("/metrics");
  return Object.fromEntries(
    body
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(name.length, at), Number(line.slice(at + 1))];
      }),
  );
}

describe("requests", () => {
  it("are counted by their route's pattern, with S4's exact names", async () => {
    const { app } = testServer([things]);
    for (const id of ["1", "2", "secret-3"]) await app.inject(`/api/v1/things/${id}?token=x`);
    await app.inject({ method: "HEAD", url: "/api/v1/things/4" });
    const counted = await series(app, "http_requests_total");
    expect(counted).toMatchObject({
      '{method="GET",endpoint="/api/v1/things/:id"}': 3,
      '{method="HEAD",endpoint="/api/v1/things/:id"}': 1,
    });
    const { body } = await app.inject("/metrics");
    expect(body).not.toContain("secret-3");
    expect(body).not.toContain("token=");
    expect(body).toContain("# TYPE http_requests_total counter\n");
    expect(body).toContain("# TYPE http_request_duration_seconds histogram\n");
    // Its only labels are the buckets'. The current request for metrics is not counted yet.
    expect(body).toContain("\nhttp_request_duration_seconds_count 5\n");
    expect(body).toMatch(/\nhttp_request_duration_seconds_bucket\{le="\+Inf"\} 5\n/);
  });

  it("are counted by status and duration", async () => {
    const { app } = testServer([things, echo]);
    await app.inject("/api/v1/things/1");
    await app.inject("/api/v1/things/broken");
    await app.inject({ method: "POST", url: "/api/v1/echo", payload: {} });
    expect(await series(app, "insulae_http_responses_total")).toEqual({
      '{method="GET",endpoint="/api/v1/things/:id",status="200"}': 1,
      '{method="GET",endpoint="/api/v1/things/:id",status="500"}': 1,
      '{method="POST",endpoint="/api/v1/echo",status="400"}': 1,
    });
    expect(await series(app, "insulae_http_route_duration_seconds_count")).toMatchObject({
      '{method="GET",endpoint="/api/v1/things/:id"}': 2,
    });
  });

  it("to unknown routes are one series", async () => {
    const { app } = testServer([things]);
    for (let i = 0; i < 300; i++) {
      const method = i % 2 === 0 ? "GET" : "SEARCH";
      await app.inject({ method: method as "GET", url: `/nothing/${i}` }); // light-my-request accepts any
    }
    await app.inject("/%zz");
    expect(await series(app, "http_requests_total")).toMatchObject({
      '{method="GET",endpoint="unmatched"}': 151,
      '{method="OTHER",endpoint="unmatched"}': 150,
    });
  });

  it("whose clients disconnected are counted as such", async () => {
    const [begun, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = feature("slow", {
      routes: (r) => [
        r.get(
          "/slow",
          { permission: "public", summary: "Takes a while", response: Type.Unknown() },
          async () => {
            begun.resolve();
            await gone.promise;
            return {};
          },
        ),
      ],
    });
    const { app } = testServer([slow]);
    const address = await app.listen({ port: 0, host: "127.0.0.1" });
    const leaving = new AbortController();
    const asked = fetch(`${address}/api/v1/slow`, { signal: leaving.signal });
    await begun.promise;
    leaving.abort();
    await expect(asked).rejects.toThrow();
    await expect
      .poll(() => series(app, "insulae_http_responses_total"), { timeout: 10_000 })
      .toMatchObject({ '{method="GET",endpoint="/api/v1/slow",status="aborted"}': 1 });
    gone.resolve();
  });
});

describe("requests of tenants", () => {
  const tenant = (n: number) => ({ id: `id-${n}` as TenantId, key: `tenant-${n}` });
  const lines = async (metrics: ReturnType<typeof createMetrics>) =>
    (await metrics.text())
      .split("\n")
      .filter((line) => line.startsWith("insulae_tenant_requests_total{"));

  it("are counted separately for a bounded number of tenants", async () => {
    const metrics = createMetrics();
    const count = createTenantMetrics(metrics);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 1_000; n++) {
        count({ tenant: tenant(n), seconds: 0.1, failed: false, endedAt: round });
      }
    }
    const found = await lines(metrics);
    expect(found).toHaveLength(101);
    expect(found).toContain('insulae_tenant_requests_total{tenant_id="id-7",tenant="tenant-7"} 3');
    expect(found).toContain('insulae_tenant_requests_total{tenant_id="other",tenant="other"} 2700');
  });

  it("of a quiet tenant make room for those of a busy one", async () => {
    const metrics = createMetrics();
    const count = createTenantMetrics(metrics);
    const at = (n: number, endedAt: number) =>
      count({ tenant: tenant(n), seconds: 0.1, failed: true, endedAt });
    for (let n = 0; n < 100; n++) at(n, n);
    at(100, 1_000);
    at(0, 1_000);
    at(101, 600_000);
    expect(await lines(metrics)).toContainEqual(expect.stringContaining('"other"} 2'));
    at(101, 600_001);
    const found = (await lines(metrics)).join();
    expect(found).toContain("id-101");
    expect(found).not.toContain('"id-1"');
    expect(found).toContain('"id-0"');
  });

  it("can't collide with the rest because of a tenant's key", async () => {
    const metrics = createMetrics();
    const count = createTenantMetrics(metrics);
    const other = { id: "id" as TenantId, key: "other" };
    count({ tenant: other, seconds: 0.1, failed: false, endedAt: 0 });
    expect(new Set((await lines(metrics)).map((line) => line.split(" ")[0])).size).toBe(2);
  });
});

describe("/metrics", () => {
  const asked = (app: App, authorization?: string) =>
    app.inject({ url: "/metrics", headers: authorization ? { authorization } : {} });

  it("is open in development, and in Prometheus's format", async () => {
    const { app } = testServer([]);
    const reply = await asked(app);
    expect(reply.statusCode).toBe(200);
    expect(reply.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  it("does not exist in production without a token", async () => {
    const { app } = testServer([], { production: true });
    expect((await asked(app)).statusCode).toBe(404);
    expect((await asked(app, "Bearer undefined")).statusCode).toBe(404);
  });

  it.each([true, false])("requires the token (production: %s)", async (production) => {
    const { app } = testServer([], { production, metricsToken: token });
    for (const wrong of [undefined, "Bearer", `Bearer ${token}x`, token, `Basic ${token}`]) {
      const reply = await asked(app, wrong);
      expect([reply.statusCode, reply.headers["www-authenticate"]]).toEqual([401, "Bearer"]);
      expect(reply.body).not.toContain("http_requests_total");
    }
    expect((await asked(app, `Bearer ${token}`)).body).toContain("# TYPE http_requests_total");
  });
});
