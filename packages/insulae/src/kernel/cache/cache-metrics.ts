import { counter, type MetricsRegistry } from "../telemetry/metrics.ts";
import type { Caches } from "./cache.ts";

const lookups = counter("cache_lookups_total", "Look-ups in tenants' caches", ["outcome"]);

/** The hit rate is `hit` divided by the sum of both. */
export function countCache(metrics: MetricsRegistry, { counts }: Caches): void {
  metrics.read(lookups, () => [
    [counts.hits, { outcome: "hit" }],
    [counts.misses, { outcome: "miss" }],
  ]);
}
