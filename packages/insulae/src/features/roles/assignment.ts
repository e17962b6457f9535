/**
 * Assigns roles to users. Each user has exactly one system role, stored with the user, and any
 * number of the tenant's own roles. As for users, nobody may act on somebody more powerful or grant
 * what they don't hold.
 */
import { defineError } from "../../kernel/lib/errors.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import { normalised } from "../../kernel/lib/text.ts";
import { isUuid } from "../../kernel/lib/uuid.ts";
import {
  changeUser,
  lockInferior,
  type Owned,
  refuseUnheld,
  type UserDeps,
  userNotFound,
  type WithEvents,
} from "../users/users.feature.ts";
import {
  assignRole,
  type Db,
  findRole,
  findRoleByName,
  findSystemRole,
  listRolesOfUser,
  type RoleRow,
  unassignRole,
} from "./roles.queries.ts";
import { type RoleDeps, roleNotFound, viewOfRole } from "./roles.service.ts";
import { findSystemRoleByReference, type RoleView, viewOfSystemRole } from "./system-roles.ts";

export const roleNotAssigned = defineError(
  "role_not_assigned",
  404,
  "The user does not have this role",
);
export const roleRequired = defineError(
  "role_required",
  409,
  "A user always has a system role, and viewer is the lowest. Deactivate or delete the user instead.",
);

/** The system role, then the others by name. @throws userNotFound */
export async function rolesOfUser(
  { db, permissions }: Pick<RoleDeps, "db" | "permissions">,
  userId: UserId,
): Promise<{ items: RoleView[] }> {
  const [user, own] = await Promise.all([
    findSystemRole.first(db, { userId }),
    listRolesOfUser.all(db, { userId }),
  ]);
  if (!user) throw userNotFound();
  const system = findSystemRoleByReference(user.role);
  return {
    items: [
      ...(system ? [viewOfSystemRole(permissions, system)] : []),
      ...own.map((role) => viewOfRole(permissions, role)),
    ],
  };
}

/**
 * Grants the user a role; a system role replaces their current one.
 *
 * @param reference a role's id or name
 * @throws userNotFound, roleNotFound, roleAboveOwn, permissionNotHeld, lastOwner,
 *   ownsTenant
 */
export async function giveRole(
  deps: RoleDeps & WithEvents & Owned,
  userId: UserId,
  reference: string,
): Promise<void> {
  const system = findSystemRoleByReference(reference);
  if (system) {
    await changeUser(onUsers(deps, deps.db), userId, {
      role: system,
    });
    return;
  }
  const { permissions, user } = deps;
  await deps.db.transaction().execute(async (tx) => {
    await lockInferior(onUsers(deps, tx), userId);
    const role = await findOwnRole({ db: tx }, reference);
    if (!role) throw roleNotFound();
    refuseUnheld(user, viewOfRole(permissions, role).permissions);
    await assignRole.all(tx, { user_id: userId, role_id: role.id });
  });
}

/**
 * Revokes a role. Revoking the system role makes the user a viewer, the lowest.
 *
 * @throws userNotFound, roleNotAssigned, roleRequired, roleAboveOwn, permissionNotHeld, lastOwner,
 *   ownsTenant
 */
export async function takeRole(
  deps: RoleDeps & WithEvents & Owned,
  userId: UserId,
  roleId: string,
): Promise<void> {
  const system = findSystemRoleByReference(roleId);
  if (system) {
    const has = await findSystemRole.first(deps.db, { userId });
    if (!has) throw userNotFound();
    if (has.role !== system) throw roleNotAssigned();
    if (system === "viewer") throw roleRequired();
    await changeUser(onUsers(deps, deps.db), userId, {
      role: "viewer",
    });
    return;
  }
  await deps.db.transaction().execute(async (tx) => {
    await lockInferior(onUsers(deps, tx), userId);
    const taken = await unassignRole.first(tx, { userId, roleId });
    if (!taken) throw roleNotAssigned();
  });
}

const onUsers = (
  { permissions, user, audit, events, tenant }: RoleDeps & WithEvents & Owned,
  db: Db,
): UserDeps & WithEvents & Owned => ({
  tenant,
  audit,
  events,
  permissions,
  user,
  db: db.$pickTables<"users">(),
});

/** One of the tenant's own roles, by id or name. */
export const findOwnRole = (
  { db }: Pick<RoleDeps, "db">,
  reference: string,
): Promise<RoleRow | undefined> =>
  isUuid(reference)
    ? findRole.first(db, { id: reference })
    : findRoleByName.first(db, { name: normalised(reference.trim()) });
