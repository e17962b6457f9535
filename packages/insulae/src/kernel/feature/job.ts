/**
 * A job is background work: a name, a schema for its data, and a function that runs in its tenant's
 * scope. A feature declares its jobs (`feature("…", { jobs: [cleanUp] })`); handlers, scripts and
 * other jobs send them: `await jobs.send(cleanUp, data, { tx })`.
 *
 * A job runs at least once: a process may die after the work and before recording it. Write jobs so
 * that a second run does no harm.
 */

import { type Static, type TSchema, Type } from "typebox";
import { Value } from "typebox/value";
import type { Job, JobDefinition, JobRun, PlatformJob } from "../jobs/definition.ts";
import { nextTime } from "../lib/cron.ts";
import { describeValue, refuse, unknownNames } from "../lib/declaration-error.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Platform } from "./platform.ts";
import type { TenantScope } from "./tenant-scope.ts";

export interface JobOptions<Data extends TSchema> {
  /** The job's input: small, and without secrets, because it is stored and shown. Default: none. */
  readonly data?: Data;
  /** How often a failed job is retried; default 5. */
  readonly retries?: number;
  /** Seconds before the first retry; doubles each time, plus jitter. Default 15. */
  readonly backoffSeconds?: number;
  /**
   * Jobs of a tenant with a higher priority run first. Below 0 it is a background job, which waits
   * for everybody's jobs of 0 or more and uses at most half of the places. Default 0; for a
   * scheduled job -1.
   */
  readonly priority?: number;
  /** Seconds until `signal` aborts and the attempt fails. Default 900. */
  readonly timeoutSeconds?: number;
  /**
   * A cron expression in UTC (`"0 3 * * *"`) for running without data. A tenant's job runs once for
   * every active tenant, however idle. If only some tenants have work, send them the job when it
   * arises, with `key` and `after`.
   */
  readonly schedule?: string;
  /**
   * The job is neither counted nor refused by `jobs_per_day`: for work that has a quota of its own,
   * or that must not fail because of one.
   */
  readonly uncounted?: boolean;
}

/** The scope of a tenant's job. */
export interface JobScope<Tables> extends TenantScope<Tables>, JobRun {}

/** The scope of a platform job: no tenant's rows, except through `platform.withTenant`. */
export interface PlatformJobScope extends JobRun {
  readonly platform: Platform;
  readonly log: Logger;
}

const nothing = Type.Object({});

/**
 * Declares a tenant's job.
 *
 * @param name `feature.what-it-does`. Don't change it while such jobs may be queued.
 * @example
 * const remind = job("invoices.remind", {
 *   data: Type.Object({ invoice_id: uuid }),
 *   async run({ invoice_id }, { db, mail }: JobScope<InvoiceTables>) { … },
 * });
 */
export const job = <Data extends TSchema = typeof nothing, Tables = Record<never, never>>(
  name: string,
  options: JobOptions<Data> & {
    /** @returns the job's stored result; keep it small, because it is shown */
    readonly run: (data: Static<Data>, scope: JobScope<Tables>) => Promise<unknown>;
  },
): Job<Data> => Object.freeze({ ...define(name, options), of: "tenant" as const });

/**
 * Declares a platform job, which belongs to no tenant: `platform.jobs.send(sweep)`.
 *
 * @param name as for a tenant's job
 */
export const platformJob = <Data extends TSchema = typeof nothing>(
  name: string,
  options: JobOptions<Data> & {
    readonly run: (data: Static<Data>, scope: PlatformJobScope) => Promise<unknown>;
  },
): PlatformJob<Data> => Object.freeze({ ...define(name, options), of: "platform" as const });

function define<Data extends TSchema>(
  name: string,
  options: JobOptions<Data> & Pick<JobDefinition, "run">,
) {
  if (!/^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$/.test(name)) {
    refuse([`job name ${JSON.stringify(name)}: use feature.what-it-does`]);
  }
  refuse(jobProblems(options).map((problem) => `job ${name}: ${problem}`));
  return {
    name,
    // Without a schema, Data is the type of no data.
    data: options.data ?? (nothing as TSchema as Data),
    retries: options.retries ?? 5,
    backoffSeconds: options.backoffSeconds ?? 15,
    priority: options.priority ?? (options.schedule === undefined ? 0 : -1),
    timeoutSeconds: options.timeoutSeconds ?? 900,
    schedule: options.schedule,
    uncounted: options.uncounted ?? false,
    run: options.run,
  };
}

const optionNames: Readonly<Record<keyof JobOptions<TSchema> | "run", true>> = {
  data: true,
  retries: true,
  backoffSeconds: true,
  priority: true,
  timeoutSeconds: true,
  schedule: true,
  uncounted: true,
  run: true,
};

function jobProblems(options: JobOptions<TSchema> & Pick<JobDefinition, "run">): string[] {
  const { data, schedule, run } = options;
  const numbers = ["retries", "backoffSeconds", "timeoutSeconds"] as const;
  const isAmount = (value: unknown) => typeof value === "number" && value >= 0;
  return [
    ...unknownNames(options, Object.keys(optionNames)),
    ...("data" in options && (typeof data !== "object" || data === null)
      ? [`data is ${describeValue(data)}; give a schema, or leave it out`]
      : []),
    ...(typeof run === "function" ? [] : [`run is ${describeValue(run)}; give a function`]),
    ...numbers
      .filter((option) => options[option] !== undefined && !isAmount(options[option]))
      .map((option) => `${option} must be a number of at least 0`),
    ...(schedule === undefined ? [] : scheduleProblems(schedule)),
    ...(schedule !== undefined && data && !Value.Check(data, {})
      ? ["a scheduled job runs without data: make all properties of its data optional"]
      : []),
  ];
}

function scheduleProblems(schedule: string): string[] {
  const shown = `schedule ${JSON.stringify(schedule)}`;
  try {
    return nextTime(schedule, new Date())
      ? []
      : [`${shown} names a day that no year has; the job would never run`];
  } catch {
    return [
      `${shown} is not a cron expression of five fields, such as "0 3 * * *" (every day at 3:00 UTC)`,
    ];
  }
}

/** The jobs by name. @throws Error if two have the same name */
export function jobsOf(
  features: readonly { readonly jobs: readonly JobDefinition[] }[],
): ReadonlyMap<string, JobDefinition> {
  const jobs = new Map<string, JobDefinition>();
  for (const each of features.flatMap((feature) => feature.jobs)) {
    if (jobs.has(each.name)) throw new Error(`two jobs have the name ${each.name}`);
    jobs.set(each.name, each);
  }
  return jobs;
}
