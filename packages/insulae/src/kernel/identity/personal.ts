/** Which routes are closed to machines or impersonators; see a route's `personal`. */
import type { GuardedRoute } from "./guarded-route.ts";

/** A route without a named permission is about the caller. */
const isAboutCaller = ({ options: { permission } }: GuardedRoute): boolean =>
  permission === "authenticated" || permission === "platform";

const isPersonal = (route: GuardedRoute): boolean => route.options.personal ?? isAboutCaller(route);

/** Whether impersonating administrators may call it. */
export const takesImpersonators = (route: GuardedRoute): boolean =>
  !isPersonal(route) && route.options.impersonators !== false;

/** Whether API keys and client certificates may call it. */
export const takesMachines = (route: GuardedRoute): boolean =>
  !isPersonal(route) && !isAboutCaller(route);
