/** What `/metrics` says of services that count for themselves. */
import type { Announcements } from "../kernel/announcements/announcements.ts";
import type { Redis } from "../kernel/redis/redis.ts";
import type { LogHub } from "../kernel/telemetry/log-hub.ts";
import { counter, gauge, type MetricsRegistry } from "../kernel/telemetry/metrics.ts";

const viewers = gauge("insulae_log_viewers", "Who watches the log of this process");
const dropped = counter(
  "insulae_log_lines_dropped_total",
  "Lines that viewers of the log were too slow for",
);
const redisUp = gauge("insulae_redis_up", "Whether Redis can be asked at this moment");
const announcementsHeard = gauge(
  "insulae_announcements_heard",
  "Whether what other nodes announce is heard at this moment; otherwise caches are believed for a second",
);
const announcementGaps = counter(
  "insulae_announcement_gaps_total",
  "How often announcements may have been missed, and all caches were emptied",
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
