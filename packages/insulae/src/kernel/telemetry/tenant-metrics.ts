/**
 * Requests by tenant, for the tenants that are busy now: a series each for at most `maxTenants` of
 * them, and one, `other`, for the rest. A tenant that has been quiet for a while gives its series up
 * to one that needs it, so `other` stays small where fewer are busy at a time. Each series only grows
 * while it is there. What a tenant did in a day is in the usage tables, for all of them.
 */

import type { TenantId } from "../lib/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import { counter, type LabelValues, type MetricsRegistry } from "./metrics.ts";

const labels = ["tenant_id", "tenant"] as const;

const requests = counter("insulae_tenant_requests_total", "Requests for a tenant", labels);
const errors = counter(
  "insulae_tenant_errors_total",
  "Requests for a tenant that failed here (5xx)",
  labels,
);
const seconds = counter(
  "insulae_tenant_request_seconds_total",
  "How long requests for a tenant took, together",
  labels,
);

const maxTenants = 100;
const quietMs = 600_000;

interface Figures {
  readonly labels: LabelValues<(typeof labels)[number]>;
  requests: number;
  errors: number;
  seconds: number;
  /** When the last request ended, in milliseconds of the process. */
  lastAt: number;
}

export interface TenantRequest {
  readonly tenant: Pick<Tenant, "id" | "key">;
  readonly seconds: number;
  readonly failed: boolean;
  /** When it ended, by `performance.now()`. */
  readonly endedAt: number;
}

export function createTenantMetrics(metrics: MetricsRegistry): (request: TenantRequest) => void {
  const tenants = new Map<TenantId, Figures>();
  const figuresOf = (tenant_id: string, tenant: string): Figures => ({
    labels: { tenant_id, tenant },
    requests: 0,
    errors: 0,
    seconds: 0,
    lastAt: 0,
  });
  const other = figuresOf("other", "other");
  /** Until then all who have a series keep it. */
  let takenUntil = 0;

  const place = ({ id, key }: TenantRequest["tenant"], now: number): Figures => {
    if (tenants.size >= maxTenants) {
      if (now < takenUntil) return other;
      const [quietest] = [...tenants].sort(([, a], [, b]) => a.lastAt - b.lastAt);
      takenUntil = (quietest?.[1].lastAt ?? 0) + quietMs;
      if (!quietest || now < takenUntil) return other;
      tenants.delete(quietest[0]);
      takenUntil = 0;
    }
    const figures = figuresOf(id, key);
    tenants.set(id, figures);
    return figures;
  };

  for (const [metric, name] of [
    [requests, "requests"],
    [errors, "errors"],
    [seconds, "seconds"],
  ] as const) {
    metrics.read(metric, () =>
      [...tenants.values(), other].map((figures) => [figures[name], figures.labels] as const),
    );
  }
  return ({ tenant, seconds, failed, endedAt }) => {
    const figures = tenants.get(tenant.id) ?? place(tenant, endedAt);
    figures.requests += 1;
    figures.seconds += seconds;
    if (failed) figures.errors += 1;
    figures.lastAt = endedAt;
  };
}
