/**
 * Sending jobs. Outside a transaction a job goes straight into the queue; in a tenant's transaction
 * it goes by way of the tenant's outbox (`outbox.ts`), in one of the control plane it is added to the
 * queue in that transaction, which is the same database.
 */
import type { QueryExecutorProvider } from "kysely";
import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import { uuidV7 } from "../lib/uuid.ts";
import type { Tenant } from "../tenancy/tenant.ts";
import type { Job, JobDefinition, PlatformJob } from "./job.ts";
import type { Outbox, SentJob } from "./outbox.ts";
import type { JobQueue, NewJob } from "./queue.ts";
import { platformQueue } from "./queue-names.ts";

export interface SendOptions {
  /** A transaction: the job exists if and only if it commits. */
  readonly tx?: QueryExecutorProvider | undefined;
  /** Not before this time. */
  readonly after?: Date | undefined;
  /** While a job of this key waits for its first attempt, no other is added. */
  readonly key?: string | undefined;
}

/** Sends jobs of the tenant that a handler or a job works for. */
export interface TenantJobs {
  /**
   * Sends a job; it runs as soon as a worker is free, at least once.
   *
   * @returns its id. (With a `key`, of the job that there would be, were there no other.)
   * @throws TypeError if the data doesn't have the job's shape, or no feature declares the job;
   *   quotaExceeded if the tenant's plan allows no more of them today.
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

/** Sends jobs of the platform, and those of any tenant. */
export interface PlatformJobs {
  /** @param options.tx a transaction of the control plane. */
  send<Data extends TSchema>(
    job: PlatformJob<Data>,
    data: Static<Data>,
    options?: SendOptions,
  ): Promise<string>;
  /** @param options.tx a transaction of the tenant's. */
  sendTo<Data extends TSchema>(
    tenant: Tenant,
    job: Job<Data>,
    data: Static<Data>,
    options?: SendOptions,
  ): Promise<string>;
  /** Which there are, by name. */
  readonly declared: ReadonlyMap<string, JobDefinition>;
}

export interface JobsOptions {
  readonly declared: ReadonlyMap<string, JobDefinition>;
  readonly queue: JobQueue;
  readonly outbox: Outbox;
  /** Counts a job of the tenant's. @throws quotaExceeded */
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

/** What rules a job is under; one that only a newer version knows gets the usual ones. */
export const withRules = (
  job: SentJob,
  {
    retries = 5,
    backoffSeconds = 15,
    priority = 0,
    timeoutSeconds = 900,
  }: Partial<JobDefinition> = {},
): NewJob => ({ ...job, retries, backoffSeconds, priority, timeoutSeconds });
