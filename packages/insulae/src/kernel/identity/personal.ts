/** Which routes are for the person themself, and no machine or impersonator: see `personal` of a route. */
import type { GuardedRoute } from "./guarded-route.ts";

/** It names no permission, so it is about whoever calls. */
const isAboutCaller = ({ options: { permission } }: GuardedRoute): boolean =>
  permission === "authenticated" || permission === "platform";

const isPersonal = (route: GuardedRoute): boolean => route.options.personal ?? isAboutCaller(route);

/** Whether it is open to administrators who act as somebody else. */
export const takesImpersonators = (route: GuardedRoute): boolean =>
  !isPersonal(route) && route.options.impersonators !== false;

/** Whether it is open to API keys and client certificates, which have permissions and nothing else. */
export const takesMachines = (route: GuardedRoute): boolean =>
  !isPersonal(route) && !isAboutCaller(route);
