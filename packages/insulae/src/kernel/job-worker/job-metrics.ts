/** Metrics and traces of jobs. */
import { type Kysely, sql } from "kysely";
import type { ControlTables } from "../schema/control-tables.ts";
import {
  counter,
  gauge,
  histogram,
  type Metrics,
  type MetricsRegistry,
} from "../telemetry/metrics.ts";
import type { TraceAttributes, Tracing } from "../telemetry/tracing.ts";

const attempts = counter("insulae_jobs_total", "Jobs run by this process, by outcome", [
  "job",
  "outcome",
]);
const durations = histogram(
  "insulae_job_duration_seconds",
  "Duration of job runs",
  ["job"],
  [0.01, 0.05, 0.25, 1, 5, 30, 120, 600],
);
const queued = gauge("insulae_jobs_queued", "Jobs in the queue of all processes, by state", [
  "state",
]);

/** Runs a job and records its outcome. */
export type WatchJob = <T>(
  name: string,
  attributes: TraceAttributes,
  work: () => Promise<T>,
) => Promise<T>;

/** @param jobs the names of the declared jobs */
export function watchJobs(
  metrics: Metrics,
  tracing: Tracing | undefined,
  jobs: Iterable<string>,
): WatchJob {
  for (const job of jobs) {
    for (const outcome of ["completed", "failed"]) metrics.counter(attempts, { job, outcome });
    metrics.histogram(durations, { job });
  }
  return async (name, attributes, work) => {
    const since = performance.now();
    const ended = (outcome: string) => {
      metrics.counter(attempts, { job: name, outcome }).add();
      metrics.histogram(durations, { job: name }).observe((performance.now() - since) / 1_000);
    };
    try {
      const result = await (tracing ? tracing.task(`job ${name}`, attributes, work) : work());
      ended("completed");
      return result;
    } catch (error) {
      ended("failed");
      throw error;
    }
  };
}

const states = ["waiting", "active", "failed"] as const;
/** Counting stops here. */
const mostCounted = 100_000;

/** Counts the queue whenever the metrics are read. */
export function measureQueue(metrics: MetricsRegistry, control: Kysely<ControlTables>): void {
  // Each condition has a partial index of its own.
  const count = (condition: string) => sql<number>`
    (select count(*)::float8 from (
      select from control.jobs where ${sql.raw(condition)} limit ${mostCounted}) counted)`;
  metrics.read(queued, async () => {
    const { rows } = await sql<Record<(typeof states)[number], number>>`
      select ${count("state = 'ready' and priority >= 0")}
          + ${count("state = 'ready' and priority < 0")} + ${count("state = 'held'")} as waiting,
        ${count("state = 'running'")} as active,
        ${count("state = 'parked'")} as failed`.execute(control);
    return states.map((state) => [rows[0]?.[state] ?? 0, { state }] as const);
  });
}
