/** What `/metrics` says of services that count for themselves. */
import type { Redis } from "../redis/redis.ts";
import type { LogHub } from "./log-hub.ts";
import { counter, gauge, type MetricsRegistry } from "./metrics.ts";

const viewers = gauge("insulae_log_viewers", "Who watches the log of this process");
const dropped = counter(
  "insulae_log_lines_dropped_total",
  "Lines that viewers of the log were too slow for",
);
const redisUp = gauge("insulae_redis_up", "Whether Redis can be asked at this moment");

export function measureServices(
  metrics: MetricsRegistry,
  { logs, redis }: { readonly logs: LogHub; readonly redis: Redis | undefined },
): void {
  metrics.read(viewers, () => [[logs.stats().viewers]]);
  metrics.read(dropped, () => [[logs.stats().dropped]]);
  if (redis) metrics.read(redisUp, () => [[redis.isHere() ? 1 : 0]]);
}
