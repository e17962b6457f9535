/**
 * How requests are counted: by the pattern of their route, never by the address that was asked for.
 * What has no route is counted under one name. A route keeps its counters, so that a request costs a
 * few additions.
 */
import type { Tenant } from "../model/tenant.ts";
import {
  type Counter,
  counter,
  gauge,
  type Histogram,
  histogram,
  type MetricsRegistry,
} from "./metrics.ts";
import { createRecent } from "./recent.ts";
import { createTenantMetrics } from "./tenant-metrics.ts";

/** The `endpoint` of requests that no route is for. */
const unmatched = "unmatched";

const requests = counter("http_requests_total", "Requests that were answered", [
  "method",
  "endpoint",
]);
const durations = histogram(
  "http_request_duration_seconds",
  "How long requests took, from their headers to the end of the answer",
);
const responses = counter(
  "insulae_http_responses_total",
  "Requests that were answered, by the status of the answer; `aborted`: the client had gone",
  ["method", "endpoint", "status"],
);
const routeDurations = histogram(
  "insulae_http_route_duration_seconds",
  "How long requests took, by their route",
  ["method", "endpoint"],
);

const recentDurations = gauge(
  "insulae_http_request_duration_recent_seconds",
  "Percentiles of how long requests took, over the last five to ten minutes of this process",
  ["percentile"],
);
const quantiles = [0.5, 0.95, 0.99] as const;

export interface EndedRequest {
  readonly method: string;
  readonly status: number;
  /** The client has gone before it had the whole answer. */
  readonly aborted: boolean;
  /** By `performance.now()`. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly tenant: Pick<Tenant, "id" | "key"> | undefined;
}

export type CountRequest = (request: EndedRequest) => void;

export interface HttpMetrics {
  /** What counts the requests of a route. @param endpoint its pattern; undefined: no route's. */
  readonly of: (endpoint: string | undefined) => CountRequest;
}

interface MethodPart {
  readonly method: string;
  readonly requests: Counter;
  readonly durations: Histogram;
  readonly byOutcome: Map<number | "aborted", Counter>;
}

export function createHttpMetrics(metrics: MetricsRegistry): HttpMetrics {
  const all = metrics.histogram(durations);
  const recent = createRecent();
  metrics.read(recentDurations, () => {
    const values = recent.read(quantiles, performance.now());
    return values.map(
      (value, at) => [value, { percentile: `${(quantiles[at] ?? 0) * 100}` }] as const,
    );
  });
  const countTenant = createTenantMetrics(metrics);
  return {
    of(endpoint = unmatched) {
      const methods = new Map<string, MethodPart>();
      const methodPart = (given: string): MethodPart => {
        const method = usualMethods.has(given) ? given : "OTHER";
        const part = {
          method,
          requests: metrics.counter(requests, { method, endpoint }),
          durations: metrics.histogram(routeDurations, { method, endpoint }),
          byOutcome: new Map(),
        };
        methods.set(given, part);
        return part;
      };
      const outcomeOf = ({ method, byOutcome }: MethodPart, outcome: number | "aborted") => {
        const made = metrics.counter(responses, { method, endpoint, status: `${outcome}` });
        byOutcome.set(outcome, made);
        return made;
      };
      return ({ method, status, aborted, startedAt, endedAt, tenant }) => {
        const part = methods.get(method) ?? methodPart(method);
        const outcome = aborted ? "aborted" : status;
        const seconds = (endedAt - startedAt) / 1_000;
        part.requests.add();
        (part.byOutcome.get(outcome) ?? outcomeOf(part, outcome)).add();
        part.durations.observe(seconds);
        all.observe(seconds);
        recent.observe(seconds, endedAt);
        if (tenant) countTenant({ tenant, seconds, failed: !aborted && status >= 500, endedAt });
      };
    },
  };
}

const usualMethods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
