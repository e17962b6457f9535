/** Whether whoever calls may use a route: its permission, its context, and what is a person's alone. */

import type { AppError } from "../lib/errors.ts";
import { tenantRequired } from "../tenancy/errors.ts";
import { type Credential, impersonatorOf, isMachine } from "./credential.ts";
import {
  authenticationRequired,
  CallerRefused,
  needsPermission,
  needsPlatform,
  personalOnly,
  wrongContext,
} from "./errors.ts";
import type { GuardedRoute } from "./guarded-route.ts";
import type { Identity } from "./identity.ts";
import { takesImpersonators, takesMachines } from "./personal.ts";

/** @throws CallerRefused where it is known who calls; else an AppError */
export type Authorise = (route: GuardedRoute, identity: Identity) => void;

/** The roles that hold a permission. */
type RolesWith = (permission: string) => readonly string[];

/** @param rolesWith given, a refusal names the roles that have the permission. */
export const createAuthorise =
  (rolesWith?: RolesWith): Authorise =>
  (route, identity) => {
    const { user, credential } = identity;
    const refusal =
      lacking(route, identity, rolesWith) ?? (credential && refuseStandIn(route, credential));
    if (refusal) throw user ? new CallerRefused(refusal, user) : refusal;
  };

/** What the caller lacks, in the context that the route runs in. */
function lacking(
  route: GuardedRoute,
  { tenant, user }: Identity,
  rolesWith: RolesWith | undefined,
): AppError | undefined {
  const { permission, context = "tenant", orPlatform } = route.options;
  if (permission !== "public") {
    if (!user) return authenticationRequired();
    if (orPlatform && user.kind === "core" && user.platformAdmin) return undefined;
    if (permission === "platform") {
      return user.kind === "core" && user.platformAdmin ? undefined : needsPlatform();
    }
  }
  if (user && context !== "any" && user.kind !== context) {
    return wrongContext({ detail: expectedToken[context] });
  }
  if (context === "tenant" && !tenant) return tenantRequired();
  if (permission === "public" || permission === "authenticated") return undefined;
  return user?.kind === "tenant" && user.permissions.has(permission)
    ? undefined
    : needsPermission(permission, rolesWith?.(permission));
}

const expectedToken = {
  tenant: "This route belongs to a tenant. Sign in to that tenant.",
  core: "This route is outside tenants. Sign in without a tenant.",
};

/**
 * Some things only the person themself may do; see `personal` and `impersonators` in `feature.ts`. A machine has the
 * permissions that it was given, and nothing that is a person's alone.
 */
function refuseStandIn(route: GuardedRoute, credential: Credential): AppError | undefined {
  const refused = isMachine(credential)
    ? !takesMachines(route)
    : impersonatorOf(credential) !== undefined && !takesImpersonators(route);
  return refused ? personalOnly() : undefined;
}
