import { sql } from "kysely";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type App, createApp, feature, Type } from "../src/index.ts";
import { addMember, createMember, type TestMember } from "../src/testing/fixtures.ts";
import { createTestApp } from "../src/testing/index.ts";
import type { TestApp } from "../src/testing/test-app.ts";
import { describeWithRedis, startTestRedis, type TestRedis } from "../src/testing/test-redis.ts";

let loads = 0;

const rates = feature("rates", {
  permissions: { "rates:read": "See rates", "rates:write": "Change rates" },
  routes: (r) => [
    r.get(
      "/rates/:name",
      {
        permission: "rates:read",
        summary: "A rate",
        params: Type.Object({ name: Type.String() }),
        response: Type.Object({ tenant: Type.String(), load: Type.Integer() }),
      },
      ({ cache, tenant, params }) =>
        cache.getOrSet(
          params.name,
          () => {
            loads += 1;
            return { tenant: tenant.key, load: loads };
          },
          { tags: ["rates"] },
        ),
    ),
    r.delete(
      "/rates",
      {
        permission: "rates:write",
        audit: { none: "a test" },
        summary: "Forgets them",
        response: { 204: null },
      },
      async ({ cache }) => cache.deleteTag("rates"),
    ),
  ],
});

const open = (app: TestApp) =>
  createApp({
    env: {},
    features: [rates],
    config: app.config,
    log: pino({ level: "silent" }),
  });

const suite = (redisUrl: () => string | undefined) => {
  let one: TestApp;
  let two: App;
  let a: TestMember;
  let b: TestMember;

  beforeAll(async () => {
    const redis = redisUrl();
    one = await createTestApp({ features: [rates], config: redis ? { redisUrl: redis } : {} });
    two = await open(one);
    a = await createMember(one);
    b = await createMember(one, "schema");
  });
  afterAll(async () => {
    await two?.close();
    await one?.close();
  });

  const get = async (app: App, { token }: TestMember, name = "eur") => {
    const headers = { authorization: `Bearer ${token}` };
    return (await app.inject({ url: `/api/v1/rates/${name}`, headers })).json();
  };

  test("a handler's cache is its tenant's, and the same as a job's", async () => {
    const first = await get(one, a);
    expect(await get(one, a)).toEqual(first);
    const foreign = await get(one, b);
    expect(foreign.tenant).toBe(b.tenant.key);
    expect(foreign.load).not.toBe(first.load);
    await one.withTenant(a.tenant, async ({ cache }) => {
      expect(await cache.get("eur")).toEqual(first);
    });
  });

  test("what one node forgets, the other does not have any more", async () => {
    const { load } = await get(two, a);
    expect((await get(two, a)).load).toBe(load);
    expect((await a.call("DELETE", "/rates")).status).toBe(204);
    await expect.poll(async () => (await get(two, a)).load).toBeGreaterThan(load);
  });

  test("a tenant's configuration follows its changes, on every node", async () => {
    const { id, key, slug } = a.tenant;
    const config = { id, key, slug, name: key, status: "active", plan: a.tenant.plan };
    expect(await one.tenants.config(key)).toMatchObject(config);
    expect(await two.tenants.config(id)).toMatchObject(config);
    await one.tenants.update(id, { name: "Other", settings: { branding: { color: "red" } } });
    expect(await one.tenants.config(key)).toMatchObject({ ...config, name: "Other" });
    await vi.waitFor(async () =>
      expect((await two.tenants.config(key)).settings).toMatchObject({
        branding: { color: "red" },
      }),
    );
    const admin = await addMember(one, a.tenant, "admin");
    expect((await admin.call("GET", `/tenants/${id}/config`)).body.name).toBe("Other");
    const foreign = await admin.call("GET", `/tenants/${b.tenant.id}/config`);
    expect(foreign.status).toBe((await admin.call("GET", `/tenants/${b.tenant.id}`)).status);
    expect(foreign.status).toBeGreaterThanOrEqual(403);
  });
};

describe("two nodes without Redis", () => suite(() => undefined));

describeWithRedis("two nodes with Redis", () => {
  let server: TestRedis;
  beforeAll(async () => {
    server = await startTestRedis();
  });
  afterAll(() => server.stop());

  suite(() => server.url);

  describe("tenant:{id}:config", () => {
    let app: TestApp;
    beforeAll(async () => {
      app = await createTestApp({ features: [rates], config: { redisUrl: server.url } });
    });
    afterAll(() => app.close());

    test("is JSON, is read through, lasts an hour, and goes with a change", async () => {
      const { tenant } = await createMember(app);
      const key = `tenant:${tenant.id}:config`;
      const gone = () => expect.poll(() => server.command("GET", key)).toBeNull();
      await gone();
      const config = await app.tenants.config(tenant.key);
      const text = String(await server.command("GET", key));
      expect(JSON.parse(text)).toEqual(config);
      expect(await server.command("TTL", key)).toBeGreaterThan(3590);
      expect(await server.command("TTL", key)).toBeLessThanOrEqual(3600);
      await server.command("SET", key, JSON.stringify({ ...config, name: "from Redis" }));
      expect((await app.tenants.config(tenant.key)).name).toBe("from Redis");
      // Somebody else's, or nothing at all, is not believed.
      for (const planted of ["{", "null", "[]", JSON.stringify({ ...config, id: "other" })]) {
        await server.command("SET", key, planted);
        expect(await app.tenants.config(tenant.key)).toEqual(config);
      }
      await app.tenants.suspend(tenant.id);
      await gone();
      expect((await app.tenants.config(tenant.key)).status).toBe("suspended");
      await app.tenants.delete(tenant.id);
      await gone();
      await expect(app.tenants.config(tenant.key)).rejects.toMatchObject({ status: 404 });
    });

    test("is not believed while nobody hears of changes, and deleted by who wrote it", async () => {
      const { tenant } = await createMember(app);
      const key = `tenant:${tenant.id}:config`;
      expect((await app.tenants.config(tenant.id)).name).toBe(tenant.name);
      await app.withPlatform("a test", async ({ control }) => {
        // The node loses its listener in the moment in which the tenant changes.
        await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where query = 'listen insulae' and datname = current_database()`.execute(control);
        await sql`update control.tenants set name = 'Changed' where id = ${tenant.id}`.execute(
          control,
        );
      });
      await vi.waitFor(
        async () => {
          expect((await app.tenants.config(tenant.id)).name).toBe("Changed");
          expect(String(await server.command("GET", key))).toContain('"Changed"');
        },
        { timeout: 15_000, interval: 50 },
      );
    });

    test("a change while Redis hangs is not undone when it is back", async () => {
      const { tenant } = await createMember(app);
      expect((await app.tenants.config(tenant.id)).name).toBe(tenant.name);
      server.pause();
      await app.tenants.update(tenant.id, { name: "Changed" });
      expect((await app.tenants.config(tenant.id)).name).toBe("Changed");
      server.resume();
      await vi.waitFor(
        async () => {
          expect((await app.tenants.config(tenant.id)).name).toBe("Changed");
          const text = await server.command("GET", `tenant:${tenant.id}:config`);
          expect(JSON.parse(String(text)).name).toBe("Changed");
        },
        { timeout: 15_000, interval: 200 },
      );
    });
  });
});
