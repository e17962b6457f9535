/**
 * Decides whether the caller may use a route: its permission, its context, and whether it is
 * personal.
 */

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

/** @throws CallerRefused if the caller is known, otherwise an AppError */
export type Authorise = (route: GuardedRoute, identity: Identity) => void;

/** The roles that hold a permission. */
type RolesWith = (permission: string) => readonly string[];

/** @param rolesWith if given, refusals name the roles that have the permission */
export const createAuthorise =
  (rolesWith?: RolesWith): Authorise =>
  (route, identity) => {
    const { user, credential } = identity;
    const refusal =
      lacking(route, identity, rolesWith) ?? (credential && refuseStandIn(route, credential));
    if (refusal) throw user ? new CallerRefused(refusal, user) : refusal;
  };

/** The refusal, if the caller lacks access in the route's context. */
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
  core: 'This route is outside tenants. Switch to your account (POST /api/v1/auth/switch with {"tenant":null}), or sign in to it (POST /api/v1/auth/login with "tenant":null).',
};

/**
 * Some things only the person may do; see `personal` and `impersonators` in `feature/route.ts`. A
 * machine has only the permissions it was given.
 */
function refuseStandIn(route: GuardedRoute, credential: Credential): AppError | undefined {
  const refused = isMachine(credential)
    ? !takesMachines(route)
    : impersonatorOf(credential) !== undefined && !takesImpersonators(route);
  return refused ? personalOnly() : undefined;
}
