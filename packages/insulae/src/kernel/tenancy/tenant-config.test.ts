import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWithRedis, startTestRedis, type TestRedis } from "../../testing/test-redis.ts";
import type { TenantId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import { connectRedis, type Redis } from "../redis/redis.ts";
import { createTenantConfigs } from "./tenant-config.ts";

const id = "019c2f6e-8d5c-7c39-9c0f-3d8f0c1f7a11" as TenantId;
const key = `tenant:${id}:config`;

describeWithRedis("the copy of a tenant's configuration in Redis", () => {
  let server: TestRedis;
  let redis: Redis;
  beforeEach(async () => {
    server = await startTestRedis();
    redis = await connectRedis({
      url: server.url,
      timeoutMs: 5_000,
      log: pino({ enabled: false }),
    });
  });
  afterEach(async () => {
    await redis.close();
    await server.stop();
  });

  test("is neither used nor written by a node without announcements, and deleted after a gap", async () => {
    let listening = true;
    let missedSomething = (): void => undefined;
    const configs = createTenantConfigs({
      redis,
      catalogue: { find: async () => ({ id, name: "Acme", status: "active" }) as Tenant },
      follow: ({ anything }) => {
        missedSomething = anything;
        return () => listening;
      },
    });
    const name = async () => (await configs.find(id))?.name;
    const planted = JSON.stringify({ id, name: "Old" });
    expect(await name()).toBe("Acme");
    await server.command("SET", key, planted);
    expect(await name()).toBe("Old");
    listening = false;
    expect(await name()).toBe("Acme");
    missedSomething();
    await expect.poll(() => server.command("GET", key)).toBeNull();
    expect(await name()).toBe("Acme");
    expect(await server.command("GET", key)).toBeNull();
    configs.close();
  });
});
