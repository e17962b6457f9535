/**
 * A job is work that is done after the answer: it has a name, the shape of its data, and a function
 * that runs in its tenant's scope. A feature declares its jobs (`feature("…", { jobs: [cleanUp] })`),
 * and handlers, scripts and other jobs send them: `await jobs.send(cleanUp, data, { tx })`.
 *
 * A job runs at least once: a process may die after the work and before it has said so. So write it
 * such that a second run does no harm.
 */
import { type Static, type TSchema, Type } from "typebox";
import { Value } from "typebox/value";
import type { Platform } from "../feature/platform.ts";
import type { TenantScope } from "../feature/tenant-scope.ts";
import { describeValue, refuse, unknownNames } from "../lib/declaration-error.ts";
import type { Logger } from "../telemetry/log.ts";

export interface JobOptions<Data extends TSchema> {
  /** What it works on: small, and no secrets, since it is kept and shown. Default: nothing. */
  readonly data?: Data;
  /** How often a failed attempt is repeated; default 5. */
  readonly retries?: number;
  /** The wait before the first repetition; each further one is twice as long, plus chance. Default 15. */
  readonly backoffSeconds?: number;
  /**
   * Of a tenant's waiting jobs, those with more go first. With less than 0 it is a background job: it waits
   * for everybody's jobs of 0 or more, and background jobs take half of the places at most. Default 0; of a
   * scheduled job -1.
   */
  readonly priority?: number;
  /** Then `signal` aborts, and the attempt has failed. Default 900. */
  readonly timeoutSeconds?: number;
  /**
   * When it runs by itself, with no data, as cron says it, in UTC: `"0 3 * * *"`. A tenant's job runs
   * once for each active tenant, however idle: where only some have something to do, send them the job when
   * that comes up, with a `key` and `after`.
   */
  readonly schedule?: string;
  /**
   * It is part of something that has a quota of its own, or that must not fail for want of one: it is
   * neither counted nor refused by `jobs_per_day`.
   */
  readonly uncounted?: boolean;
}

/** What every attempt knows of itself. */
export interface JobRun {
  readonly job: {
    readonly id: string;
    readonly name: string;
    /** 1 for the first. */
    readonly attempt: number;
  };
  /** Aborts when the time is over, when somebody else has taken the job over, and at shutdown. */
  readonly signal: AbortSignal;
  /** Says how far it is, from 0 to 1, and keeps what `GET /jobs/:id` shows of it at most a second old. */
  readonly progress: (done: number) => void;
}

/** What a tenant's job works with. */
export interface JobScope<Tables> extends TenantScope<Tables>, JobRun {}

/** What a job of the platform works with: no tenant's rows, but `platform.withTenant`. */
export interface PlatformJobScope extends JobRun {
  readonly platform: Platform;
  readonly log: Logger;
}

/** A declared job. */
export interface JobDefinition {
  readonly name: string;
  readonly data: TSchema;
  readonly of: "tenant" | "platform";
  readonly retries: number;
  readonly backoffSeconds: number;
  readonly priority: number;
  readonly timeoutSeconds: number;
  readonly schedule: string | undefined;
  readonly uncounted: boolean;
  // The types of data and scope were checked where the job was declared.
  readonly run: (data: never, scope: never) => Promise<unknown>;
}

export interface Job<Data extends TSchema> extends JobDefinition {
  readonly data: Data;
  readonly of: "tenant";
}

export interface PlatformJob<Data extends TSchema> extends JobDefinition {
  readonly data: Data;
  readonly of: "platform";
}

const nothing = Type.Object({});

/**
 * Declares a tenant's job.
 *
 * @param name `feature.what-it-does`. It must not change while jobs of this name may be waiting.
 * @example
 * const remind = job("invoices.remind", {
 *   data: Type.Object({ invoice_id: uuid }),
 *   async run({ invoice_id }, { db, mail }: JobScope<InvoiceTables>) { … },
 * });
 */
export const job = <Data extends TSchema = typeof nothing, Tables = Record<never, never>>(
  name: string,
  options: JobOptions<Data> & {
    /** @returns what is kept as the job's result; small, since it is shown. */
    readonly run: (data: Static<Data>, scope: JobScope<Tables>) => Promise<unknown>;
  },
): Job<Data> => Object.freeze({ ...define(name, options), of: "tenant" as const });

/**
 * Declares a job of the platform, for no tenant: `platform.jobs.send(sweep)`.
 *
 * @param name as of a tenant's job.
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
    // Without a schema Data is that of no data.
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
      .map((option) => `${option} is not a number of 0 or more`),
    ...(schedule === undefined || isSchedule(schedule)
      ? []
      : [
          `schedule ${JSON.stringify(schedule)} is not cron's five fields, such as "0 3 * * *" (every day at 3:00 UTC)`,
        ]),
    ...(schedule !== undefined && data && !Value.Check(data, {})
      ? ["it has a schedule, and runs without data then: make all of its data optional"]
      : []),
  ];
}

/** Of minute, hour, day of the month, month, day of the week. */
const ranges = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

function isSchedule(cron: string): boolean {
  const fields = cron.split(" ");
  return fields.length === 5 && ranges.every((range, at) => isField(fields[at] ?? "", range));
}

/** A list of `*`, numbers, names (`mon`) and ranges of them, each perhaps with a step. */
const isField = (field: string, [least, most]: readonly [number, number]): boolean =>
  field.split(",").every((part) => {
    const [, from, to, step] =
      /^(\*|\d{1,2}|[a-z]{3})(?:-(\d{1,2}|[a-z]{3}))?(?:\/(\d{1,2}))?$/i.exec(part) ?? [];
    const numbers = [from, to].filter((each) => /^\d/.test(each ?? "")).map(Number);
    return (
      from !== undefined && step !== "0" && numbers.every((each) => each >= least && each <= most)
    );
  });

/** By name. @throws Error if two have one name. */
export function jobsOf(
  features: readonly { readonly jobs: readonly JobDefinition[] }[],
): ReadonlyMap<string, JobDefinition> {
  const jobs = new Map<string, JobDefinition>();
  for (const each of features.flatMap((feature) => feature.jobs)) {
    if (jobs.has(each.name)) throw new Error(`two jobs are called ${each.name}`);
    jobs.set(each.name, each);
  }
  return jobs;
}
