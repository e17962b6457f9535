import { feature } from "../../kernel/feature/feature.ts";
import { jobRoutes } from "./jobs.routes.ts";

export { dropJob, findJob, type JobState, retryJob, someJobs } from "./jobs.queries.ts";

/** Lists, retries and drops background jobs. The jobs themselves belong to other features. */
export const jobs = feature("jobs", {
  permissions: {
    "jobs:read": { description: "See the tenant's jobs", role: "admin" },
    "jobs:write": { description: "Retry and drop the tenant's jobs", role: "admin" },
  },
  routes: jobRoutes,
});
