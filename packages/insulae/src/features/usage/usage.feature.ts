import { feature } from "../../kernel/feature/feature.ts";
import { platformJob } from "../../kernel/feature/job.ts";
import { analyticsRoutes } from "./analytics.routes.ts";
import { measureAll } from "./measurements.ts";
import { usageRoutes } from "./usage.routes.ts";

const measureTenants = platformJob("usage.measure", {
  schedule: "11 * * * *",
  run: (_, { platform, log, signal }) => measureAll(platform, { log, signal }),
});

/** Tenants' usage and quotas, and statistics for the platform. */
export const usage = feature("usage", {
  permissions: {
    "usage:read": { description: "See the tenant's usage and quotas", role: "admin" },
  },
  jobs: [measureTenants],
  routes: (r) => [...usageRoutes(r), ...analyticsRoutes(r)],
});
