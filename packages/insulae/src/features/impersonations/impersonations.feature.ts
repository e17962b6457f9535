import { feature } from "../../kernel/feature/feature.ts";
import { impersonationRoutes } from "./impersonations.routes.ts";

/** Administrators of the platform who act as a tenant's user, in the tenant's sight. */
export const impersonations = feature("impersonations", {
  dependsOn: ["users"],
  permissions: {
    "impersonations:read": {
      description: "See which administrators of the platform have acted as a user",
      role: "admin",
    },
    "impersonations:end": {
      description: "End what an administrator of the platform does as a user",
      role: "owner",
    },
  },
  routes: impersonationRoutes,
});
