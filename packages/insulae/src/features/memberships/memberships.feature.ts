import { feature } from "../../kernel/feature/feature.ts";
import { ownershipMail } from "./mails.ts";
import { membershipRoutes } from "./memberships.routes.ts";

/** Which tenants an account is in, how it leaves them, and how it gives one away. */
export const memberships = feature("memberships", {
  dependsOn: ["users"],
  mails: [ownershipMail],
  routes: membershipRoutes,
});
