/** Metrics of services that keep their own counts. */
import type { Announcements } from "../kernel/announcements/announcements.ts";
import type { Redis } from "../kernel/redis/redis.ts";
import type { LogHub } from "../kernel/telemetry/log-hub.ts";
import { counter, gauge, type MetricsRegistry } from "../kernel/telemetry/metrics.ts";

const viewers = gauge("insulae_log_viewers", "Viewers of this process's log");
const dropped = counter("insulae_log_lines_dropped_total", "Log lines dropped for slow viewers");
const redisUp = gauge("insulae_redis_up", "Whether Redis is available");
const announcementsHeard = gauge(
  "insulae_announcements_heard",
  "Whether other nodes' announcements are being received; otherwise cached entries live for at most a second",
);
const announcementGaps = counter(
  "insulae_announcement_gaps_total",
  "How often announcements may have been missed and all caches were cleared",
);

export interface MeasuredServices {
  readonly logs: LogHub;
  readonly redis: Redis | undefined;
  readonly announcements: Pick<Announcements, "listening" | "gaps">;
}

export function measureServices(
  metrics: MetricsRegistry,
  { logs, redis, announcements }: MeasuredServices,
): void {
  metrics.read(announcementsHeard, () => [[announcements.listening() ? 1 : 0]]);
  metrics.read(announcementGaps, () => [[announcements.gaps()]]);
  metrics.read(viewers, () => [[logs.stats().viewers]]);
  metrics.read(dropped, () => [[logs.stats().dropped]]);
  if (redis) metrics.read(redisUp, () => [[redis.isHere() ? 1 : 0]]);
}
