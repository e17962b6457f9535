import { feature } from "../../kernel/feature/feature.ts";
import { impersonationRoutes } from "./impersonations.routes.ts";

/** Impersonation: platform administrators act as a tenant's user, visibly to the tenant. */
export const impersonations = feature("impersonations", {
  dependsOn: ["users"],
  permissions: {
    "impersonations:read": {
      description: "See which platform administrators have impersonated users",
      role: "admin",
    },
    "impersonations:end": {
      description: "End a platform administrator's impersonation",
      role: "owner",
    },
  },
  routes: impersonationRoutes,
});
