/**
 * Sends jobs. Outside a transaction, a job goes straight into the queue. In a tenant's transaction
 * it goes through the tenant's outbox (`outbox.ts`). In a transaction of the control plane, which
 * has the queue in the same database, it is inserted directly.
 */
import type { QueryExecutorProvider } from "kysely";
import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import { uuidV7 } from "../lib/uuid.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Job, JobDefinition, PlatformJob } from "./definition.ts";
import type { Outbox, SentJob } from "./outbox.ts";
import type { JobQueue, NewJob } from "./queue.ts";
import { platformQueue } from "./queue-names.ts";

export interface SendOptions {
  /** A transaction: the job exists if and only if it commits. */
  readonly tx?: QueryExecutorProvider | undefined;
  /** Don't run it before this time. */
  readonly after?: Date | undefined;
  /** Don't add it while a job with the same key waits for its first attempt. */
  readonly key?: string | undefined;
}

/** Sends jobs of the current tenant. */
export interface TenantJobs {
  /**
   * Sends a job. It runs at least once, as soon as a worker is free.
   *
   * @returns its id (also if it was not added because of its `key`)
   * @throws TypeError if the data doesn't match the job's schema, or no feature declares the job;
   *   quotaExceeded if the tenant's plan allows no more jobs today
   * @example
   * await db.transaction().execute(async (tx) => {
   *   await tx.insertInto("invoices").values(invoice).execute();
   *   await jobs.send(remind, { invoice_id: invoice.id }, { tx, after: invoice.due });
   * });
   */
  send<Data extends TSchema>(
    job: Job<Data>,
    data: Static<Data>,
    options?: SendOptions,
  ): Promise<string>;
}

/** Sends platform jobs, and jobs of any tenant. */
export interface PlatformJobs {
  /** @param options.tx a transaction of the control plane */
  send<Data extends TSchema>(
    job: PlatformJob<Data>,
    data: Static<Data>,
    options?: SendOptions,
  ): Promise<string>;
  /** @param options.tx a transaction of the tenant */
  sendTo<Data extends TSchema>(
    tenant: Tenant,
    job: Job<Data>,
    data: Static<Data>,
    options?: SendOptions,
  ): Promise<string>;
  /** All declared jobs, by name. */
  readonly declared: ReadonlyMap<string, JobDefinition>;
}

export interface JobsOptions {
  readonly declared: ReadonlyMap<string, JobDefinition>;
  readonly queue: JobQueue;
  readonly outbox: Outbox;
  /** Counts a job of the tenant. @throws quotaExceeded */
  readonly count: (tenant: Tenant) => void;
}

export function createJobs({ declared, queue, outbox, count }: JobsOptions): PlatformJobs {
  const check = (job: JobDefinition, data: unknown): void => {
    if (!job || declared.get(job.name)?.run !== job.run) {
      throw new TypeError(
        `the job ${job?.name} is not among any feature's jobs; add it to the \`jobs\` of the feature`,
      );
    }
    const [problem] = Value.Errors(job.data, data);
    if (problem) {
      throw new TypeError(
        `the data of the job ${job.name}: ${problem.instancePath || "it"} ${problem.message}`,
      );
    }
  };
  const sent = (job: JobDefinition, data: unknown, { after, key }: SendOptions): SentJob => ({
    id: uuidV7(),
    job: job.name,
    data,
    key,
    startAfter: after,
  });

  return {
    declared,
    async send(job, data, options = {}) {
      check(job, data);
      const made = sent(job, data, options);
      await queue.add(platformQueue, [withRules(made, job)], options.tx);
      return made.id;
    },
    async sendTo(tenant, job, data, options = {}) {
      check(job, data);
      if (!job.uncounted) count(tenant);
      const made = sent(job, data, options);
      if (options.tx) await outbox.write(tenant, made, options.tx);
      else await queue.add(tenant.id, [withRules(made, job)]);
      return made.id;
    },
  };
}

/** A job's options. A job that only a newer version knows gets the defaults. */
export const withRules = (
  job: SentJob,
  { retries = 5, backoffSeconds = 15, priority = 0 }: Partial<JobDefinition> = {},
): NewJob => ({ ...job, retries, backoffSeconds, priority });
