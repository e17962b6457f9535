/**
 * `/metrics`, for Prometheus. If METRICS_TOKEN is set, callers must present it; in production, the
 * address is a 404 without it.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Feature, feature } from "../../feature/feature.ts";
import { mediaText } from "../../feature/fields.ts";
import { defineError } from "../../lib/errors.ts";
import { notFound } from "../../lib/http-errors.ts";
import { type MetricsRegistry, metricsType } from "../../telemetry/metrics.ts";

export interface MetricsOptions {
  readonly metrics: MetricsRegistry;
  readonly token: string | undefined;
  readonly production: boolean;
}

const tokenRequired = defineError(
  "metrics_token_required",
  401,
  "Metrics require METRICS_TOKEN. Send it as a bearer token.",
);

export function metricsFeature({ metrics, token, production }: MetricsOptions): Feature {
  const expected = token === undefined ? undefined : digest(`Bearer ${token}`);
  return feature("metrics", {
    routes: ({ absolute: r }) => [
      r.get(
        "/metrics",
        {
          permission: "public",
          context: "core",
          summary: "Returns metrics for Prometheus",
          description:
            "In Prometheus's text format. If METRICS_TOKEN is set, send it: `Authorization: Bearer …`. In production there are no metrics without it.",
          response: mediaText("text/plain"),
          errors: [tokenRequired],
        },
        async ({ request, header }) => {
          if (expected === undefined && production) throw notFound();
          const { authorization = "" } = request.headers;
          if (expected && !timingSafeEqual(digest(String(authorization)), expected)) {
            throw tokenRequired({ headers: { "www-authenticate": "Bearer" } });
          }
          header("content-type", metricsType);
          return metrics.text();
        },
      ),
    ],
  });
}

/** Equal lengths, for a comparison in constant time. */
const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
