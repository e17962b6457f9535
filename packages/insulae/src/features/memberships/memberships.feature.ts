import { feature } from "../../kernel/feature/feature.ts";
import { ownershipMail } from "./mails.ts";
import { membershipRoutes } from "./memberships.routes.ts";

/** The tenants of an account: listing, leaving and transferring them. */
export const memberships = feature("memberships", {
  dependsOn: ["users"],
  mails: [ownershipMail],
  routes: membershipRoutes,
});
