import { CommandError } from "../doctor/failure.ts";
import {
  dropJob,
  findJob,
  type JobState,
  retryJob,
  someJobs,
} from "../features/jobs/jobs.feature.ts";
import type { Platform } from "../kernel/feature/platform.ts";
import { count } from "../kernel/lib/count.ts";
import { timeText } from "../kernel/lib/times.ts";
import type { CommandContext, Result } from "./command.ts";
import { cliActor, withServices } from "./open.ts";
import { table } from "./table.ts";

export interface ListJobsOptions {
  readonly tenant?: string;
  readonly state?: JobState;
  readonly job?: string;
  readonly limit: number;
  readonly before?: string;
}

export const listJobs = (context: CommandContext, options: ListJobsOptions): Promise<Result> =>
  withServices(context, "look", async ({ platform }) => {
    const { tenant, ...filter } = options;
    const owner = tenant === undefined ? undefined : (await platform.tenants.get(tenant)).id;
    const jobs = await someJobs(platform.control, owner, filter);
    const rows = jobs.map((job) => [
      job.id,
      job.tenant_id ?? "(platform)",
      job.job,
      job.state,
      job.attempts,
      timeText(job.created_at),
      job.error ?? "",
    ]);
    const heads = ["ID", "TENANT", "JOB", "STATE", "ATTEMPTS", "CREATED", "ERROR"];
    return {
      document: { items: jobs },
      text: jobs.length === 0 ? "There are no such jobs." : table(heads, rows),
    };
  });

export const retryJobs = (context: CommandContext, ids: readonly string[]): Promise<Result> =>
  each(context, ids, "retried", async (platform, id) => {
    const job = await findJob(platform.control, undefined, id);
    if (!job) throw notFound(id);
    const retries = platform.jobs.declared.get(job.job)?.retries ?? 5;
    if (await retryJob(platform.control, undefined, id, retries)) return;
    throw new CommandError(
      "job_not_parked",
      `The job ${id} is ${job.state}; only parked jobs can be retried.`,
    );
  });

export const dropJobs = (context: CommandContext, ids: readonly string[]): Promise<Result> =>
  each(context, ids, "dropped", async (platform, id) => {
    if (!(await dropJob(platform.control, undefined, id))) throw notFound(id);
  });

const notFound = (id: string) => new CommandError("job_not_found", `There is no job ${id}.`);

/** Runs one after another. If one fails, those before it stay done. */
const each = (
  context: CommandContext,
  ids: readonly string[],
  what: "retried" | "dropped",
  work: (platform: Platform, id: string) => Promise<void>,
): Promise<Result> =>
  withServices(context, "change", async ({ platform }) => {
    const wrong = ids.find((id) => !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id));
    if (wrong !== undefined) throw notFound(wrong);
    for (const id of ids) {
      await work(platform, id);
      const target = { type: "job", id };
      await platform.audit({ action: `job.${what}`, actor: cliActor(), target });
    }
    return { document: { [what]: ids }, text: `${count("job", ids.length)} ${what}.` };
  });
