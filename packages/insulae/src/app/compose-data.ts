/**
 * Composes tenants' data outside their databases (files, caches, sessions), and the records of
 * their actions (audit, usage).
 */
import type { Announcements } from "../kernel/announcements/announcements.ts";
import { type Anchors, createAnchors } from "../kernel/audit/anchors.ts";
import { createAudit } from "../kernel/audit/audit.ts";
import { createPlatformChain } from "../kernel/audit/platform-chain.ts";
import { createCaches } from "../kernel/cache/cache.ts";
import { countCache } from "../kernel/cache/cache-metrics.ts";
import { createRedisEntries } from "../kernel/cache/redis-entries.ts";
import type { DataServices, RecordingServices } from "../kernel/feature/capabilities.ts";
import type { TenantId } from "../kernel/lib/ids.ts";
import { tenantSecrets } from "../kernel/lib/secrets.ts";
import type { Tenant } from "../kernel/model/tenant.ts";
import { createSessions as createRequestSessions } from "../kernel/sessions/session.ts";
import { createSessionStore } from "../kernel/sessions/store.ts";
import { openStorage } from "../kernel/storage/open-storage.ts";
import { moduleLog } from "../kernel/telemetry/log.ts";
import type { LogHub } from "../kernel/telemetry/log-hub.ts";
import { createUsageCounts } from "../kernel/usage/counts.ts";
import type { Installation } from "./installation.ts";

export function composeData(
  { config, control, redis, secrets, metrics, log }: Installation,
  { follow, announceCache }: Announcements,
): DataServices {
  const caches = createCaches({
    redis: redis && createRedisEntries(redis),
    announce: announceCache,
    follow,
    maxBytes: config.cacheMegabytes * 1_048_576,
    log: moduleLog(log, "cache"),
  });
  countCache(metrics, caches);
  return {
    control,
    caches,
    storage: openStorage(config, secrets),
    openSession: createRequestSessions({
      store: createSessionStore(redis),
      secrets,
      ttlSeconds: config.sessionIdleHours * 3600,
      log: moduleLog(log, "auth"),
    }),
    secretsOf: ({ id }) => tenantSecrets(secrets, id),
  };
}

export interface ComposedRecording {
  readonly services: RecordingServices;
  readonly anchors: Anchors;
  /** Resolves when all pending records are written. Usage counts continue: close them last. */
  settle(): Promise<void>;
}

export function composeRecording(installation: Installation, logs: LogHub): ComposedRecording {
  const { control, databaseOf, metrics, plans, log } = installation;
  const about = { control, databaseOf, log: moduleLog(log, "audit") };
  const platformChain = createPlatformChain(control, about.log);
  const grown = new Map<TenantId, Tenant>();
  const audit = createAudit(about, (tenant) => {
    if (tenant) grown.set(tenant.id, tenant);
    else platformChain.note();
  });
  return {
    services: {
      audit: audit.write,
      logs,
      metrics,
      usage: createUsageCounts({ control, plans, log }),
    },
    anchors: createAnchors(about, audit.write, grown),
    async settle() {
      await audit.settled();
      await platformChain.close();
    },
  };
}
