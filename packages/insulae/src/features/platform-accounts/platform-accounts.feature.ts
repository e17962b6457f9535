import { feature } from "../../kernel/feature/feature.ts";
import { platformAccountRoutes } from "./platform-accounts.routes.ts";

/** All accounts, for platform administrators. */
export const platformAccounts = feature("platform-accounts", {
  dependsOn: ["accounts", "factors"],
  routes: platformAccountRoutes,
});
