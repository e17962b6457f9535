import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openInstallation } from "../src/app/installation.ts";
import { loadConfig } from "../src/config/config.ts";
import { coreFeatures } from "../src/features/index.ts";
import { createAnnouncements } from "../src/kernel/announcements/announcements.ts";
import { createTestApp } from "../src/testing/test-app.ts";
import { describeWithRedis, startTestRedis, type TestRedis } from "../src/testing/test-redis.ts";

let redis: TestRedis;
beforeEach(async () => {
  redis = await startTestRedis();
});
afterEach(() => redis.stop());

describeWithRedis("a node that has lost its connection for announcements", () => {
  test("hears over redis what the others hear", async () => {
    const app = await createTestApp({ config: { redisUrl: redis.url, redisTimeoutMs: 5_000 } });
    const log = pino({ level: "silent" });
    const config = loadConfig({ PUBLIC_URL: app.config.baseUrl }, app.config);
    const deaf = await openInstallation(config, coreFeatures, log, { refuseForeign: false });
    const onTenant = vi.fn();
    try {
      const announcements = createAnnouncements({
        broker: deaf.broker,
        target: { serverId: deaf.main.id, database: deaf.main.database, role: "control" },
        control: deaf.control,
        redis: deaf.redis,
        log,
      });
      announcements.follow({ tenant: onTenant, anything() {} });
      expect(announcements.listening()).toBe(false);
      const tenant = await app.tenants.create({ key: "acme", name: "Acme" });
      // It may not have subscribed yet when the tenant was made.
      await vi.waitFor(async () => {
        await app.tenants.update(tenant.id, { name: "Acme Corp" });
        expect(onTenant).toHaveBeenCalledWith(tenant.id);
      });
    } finally {
      await deaf.close();
      await app.close();
    }
  });
});
