import { feature } from "../../kernel/feature/feature.ts";
import { userSessionRoutes } from "./user-sessions.routes.ts";

/** Users' sign-ins as the administrators of their tenant see and end them. */
export const userSessions = feature("user-sessions", {
  dependsOn: ["users"],
  routes: userSessionRoutes,
});
