import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { dropJob, findJob, jobStates, listJobs, retryJob } from "./jobs.queries.ts";

const jobNotFound = defineError("job_not_found", 404, "There is no such job");
const found = orThrow(jobNotFound);
const jobNotParked = defineError(
  "job_not_parked",
  409,
  "Only parked jobs can be retried. This job is not parked.",
);

const State = oneOf(jobStates, {
  description: "parked: it ran out of retries or failed permanently, and is not retried any more.",
});

const Job = Type.Object(
  {
    id: uuid,
    tenant_id: nullable(uuid),
    job: Type.String({ examples: ["files.clean-up"] }),
    state: State,
    data: Type.Unknown({ description: "The job's input." }),
    attempts: Type.Integer(),
    progress: nullable(
      Type.Number({ description: "Progress from 0 to 1, while the job runs and reports it." }),
    ),
    result: Type.Unknown({ description: "The job's return value, once it has completed." }),
    error: nullable(Type.String({ description: "Why the last attempt failed." })),
    due_at: timestamp,
    created_at: timestamp,
    started_at: nullable(timestamp),
    finished_at: nullable(timestamp),
  },
  { $id: "Job" },
);

/** The tenant's jobs; outside a tenant, everybody's. */
const whose = (tenant: Tenant | undefined) => tenant?.id;

/** The number of retries that the job declares. */
const retriesOf = ({ jobs }: Platform, name: string) => jobs.declared.get(name)?.retries ?? 5;

export const jobRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/jobs",
    {
      permission: "jobs:read",
      orPlatform: true,
      context: "any",
      summary: "Lists jobs, newest first",
      description:
        "Lists the tenant's jobs; for platform administrators outside a tenant, all jobs. `data` and `result` over 4 KiB are null here; fetch the job to see them. Completed jobs are kept for two days, parked jobs for thirty.",
      query: pageQuery({
        state: Type.Optional(State),
        job: Type.Optional(
          Type.String({ minLength: 1, maxLength: 100, description: "Only jobs with this name." }),
        ),
      }),
      response: pageOf(Job),
    },
    ({ platform, tenant, query, page }) => listJobs(platform.control, whose(tenant), query, page),
  ),

  r.get(
    "/jobs/:id",
    {
      permission: "jobs:read",
      orPlatform: true,
      context: "any",
      summary: "Returns a job with its progress and result",
      params: idParams,
      response: Job,
      errors: [jobNotFound],
    },
    async ({ platform, tenant, params }) =>
      found(await findJob(platform.control, whose(tenant), params.id)),
  ),

  r.post(
    "/jobs/:id/retry",
    {
      permission: "jobs:write",
      orPlatform: true,
      context: "any",
      audit: "job.retried",
      summary: "Retries a parked job at once, with its full number of retries",
      params: idParams,
      response: Job,
      errors: [jobNotFound, jobNotParked],
    },
    async ({ platform, tenant, params: { id } }) => {
      const { control } = platform;
      const job = found(await findJob(control, whose(tenant), id));
      const retried = await retryJob(control, whose(tenant), id, retriesOf(platform, job.job));
      if (!retried) throw jobNotParked();
      return found(await findJob(control, whose(tenant), id));
    },
  ),

  r.delete(
    "/jobs/:id",
    {
      permission: "jobs:write",
      orPlatform: true,
      context: "any",
      audit: "job.dropped",
      summary: "Drops a job",
      description: "A running job is asked to stop. It does not run again.",
      params: idParams,
      response: { 204: null },
      errors: [jobNotFound],
    },
    async ({ platform, tenant, params: { id } }) => {
      if (!(await dropJob(platform.control, whose(tenant), id))) throw jobNotFound();
    },
  ),
];
