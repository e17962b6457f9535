import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";
import { dropJob, findJob, jobStates, listJobs, retryJob } from "./jobs.queries.ts";

const jobNotFound = defineError("job_not_found", 404, "There is no such job");
const found = orThrow(jobNotFound);
const jobNotParked = defineError(
  "job_not_parked",
  409,
  "The job is not parked. Only parked jobs can be retried.",
);

const State = oneOf(jobStates, {
  description: "parked: it has failed too often, or for good, and is tried no more.",
});

const Job = Type.Object(
  {
    id: uuid,
    tenant_id: nullable(uuid),
    job: Type.String({ examples: ["files.clean-up"] }),
    state: State,
    data: Type.Unknown({ description: "What it works on." }),
    attempts: Type.Integer(),
    progress: nullable(
      Type.Number({ description: "How far it is, from 0 to 1, where it says so and runs." }),
    ),
    result: Type.Unknown({ description: "What it has returned, once it is completed." }),
    error: nullable(Type.String({ description: "Why the last attempt failed." })),
    due_at: timestamp,
    created_at: timestamp,
    started_at: nullable(timestamp),
    finished_at: nullable(timestamp),
  },
  { $id: "Job" },
);

/** The tenant's own, or, in the core, everybody's. */
const whose = (tenant: Tenant | undefined) => tenant?.id;

/** What a retried job may cost, by its declaration. */
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
        "`data` and `result` of more than 4 KiB are null here, and shown with the job itself. The tenant's; for platform administrators outside a tenant, all. Completed jobs are kept for two days, parked ones for thirty.",
      query: pageQuery({
        state: Type.Optional(State),
        job: Type.Optional(
          Type.String({ minLength: 1, maxLength: 100, description: "Only those of this name." }),
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
      summary: "Shows a job: how far it is, and what came of it",
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
      summary: "Tries a parked job again, at once and as often as at first",
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
      description: "One that runs is told to stop; whatever it still does, it does not run again.",
      params: idParams,
      response: { 204: null },
      errors: [jobNotFound],
    },
    async ({ platform, tenant, params: { id } }) => {
      if (!(await dropJob(platform.control, whose(tenant), id))) throw jobNotFound();
    },
  ),
];
