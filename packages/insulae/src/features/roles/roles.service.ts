/**
 * A tenant's own roles. Nobody may create, change or delete a role that contains, before or after
 * the change, a permission that they don't hold themselves. Otherwise `roles:write` would amount to
 * every permission.
 */

import { systemRoles } from "../../kernel/feature/feature.ts";
import type { Page } from "../../kernel/feature/page.ts";
import type { Permissions } from "../../kernel/identity/permissions.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { refuseBeyond } from "../../kernel/lib/in-turn.ts";
import { normalised } from "../../kernel/lib/text.ts";
import { isUuid } from "../../kernel/lib/uuid.ts";
import { refuseUnheld, type UserDeps } from "../users/users.feature.ts";
import {
  createRole,
  type Db,
  deleteRole,
  findRole,
  listRoles,
  lockRole,
  type RoleRow,
  type RoleTables,
  updateRole,
} from "./roles.queries.ts";
import { findSystemRoleByReference, type RoleView, viewOfSystemRole } from "./system-roles.ts";

export const roleNotFound = defineError("role_not_found", 404, "There is no such role");
export const roleExists = defineError(
  "role_exists",
  409,
  "Another role has this name. Choose another.",
);
export const invalidRoleName = defineError(
  "invalid_role_name",
  400,
  "A role's name must not look like a UUID, because it would be read as a role's id. Choose another.",
);
export const tooManyRoles = defineError(
  "too_many_roles",
  409,
  "A tenant can have at most 200 roles of its own. Delete one first.",
);
export const systemRoleFixed = defineError(
  "system_role_fixed",
  403,
  "System roles cannot be changed, renamed or deleted. Create a role of your own.",
);
export const unknownPermission = defineError(
  "unknown_permission",
  400,
  "There is no such permission",
);
export const permissionNotInRole = defineError(
  "permission_not_in_role",
  404,
  "The role does not have this permission",
);

const maxRoles = 200;

export type RoleDeps = UserDeps<RoleTables>;
type Reading = Pick<RoleDeps, "db" | "permissions">;

/** The role as clients see it, without permissions that no feature declares any more. */
export const viewOfRole = (permissions: Permissions, role: RoleRow): RoleView => ({
  ...role,
  permissions: declaredNames(permissions, role.permissions),
  is_system_role: false,
});

const declared = (permissions: Permissions, names: readonly string[]) =>
  permissions.of("no system role", names);

/** The names that a feature still declares, sorted. */
export const declaredNames = (permissions: Permissions, names: readonly string[]): string[] =>
  [...declared(permissions, names)].sort();

/** The system roles, most powerful first, then the tenant's own by name. */
export async function pageOfRoles({ db, permissions }: Reading, page: Page) {
  const { limit, after, cursor } = page;
  // Names of roles are never empty, so the cursor uses an empty name for the system roles.
  const [name, index = "-1"] = after;
  const inSystem = name === undefined || name === "";
  const start = inSystem ? Number(index) + 1 : systemRoles.length;
  const system = systemRoles.slice(start, start + limit);
  const own = await listRoles.all(db, {
    limit: limit - system.length + 1,
    after: inSystem ? undefined : name,
  });
  const shown = own.slice(0, limit - system.length);
  const last = shown.at(-1);
  const key = last ? [last.name] : ["", String(start + system.length - 1)];
  const isLast = own.length === shown.length && start + system.length === systemRoles.length;
  return {
    items: [
      ...system.map((role) => viewOfSystemRole(permissions, role)),
      ...shown.map((role) => viewOfRole(permissions, role)),
    ],
    next_cursor: isLast ? null : cursor.encode(key),
  };
}

/** @throws roleNotFound */
export async function getRole({ db, permissions }: Reading, id: string): Promise<RoleView> {
  const system = findSystemRoleByReference(id);
  if (system) return viewOfSystemRole(permissions, system);
  const role = await findRole.first(db, { id });
  if (!role) throw roleNotFound();
  return viewOfRole(permissions, role);
}

interface RoleFields {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly permissions?: readonly string[] | undefined;
}

/** @throws roleExists, unknownPermission, permissionNotHeld, tooManyRoles */
export async function addRole(
  { db, permissions, user }: RoleDeps,
  { name, description, permissions: references = [] }: RoleFields & { readonly name: string },
): Promise<RoleView> {
  const names = namesOfPermissions(permissions, references);
  refuseUnheld(user, names);
  const values = { name: canonicalName(name), description, permissions: names };
  const role = await db.transaction().execute(async (tx) => {
    await refuseBeyond(tx, "roles", maxRoles, tooManyRoles);
    return createRole.first(tx, values);
  });
  if (!role) throw new Error("the role was not created");
  return viewOfRole(permissions, role);
}

/** @throws roleNotFound, systemRoleFixed, roleExists, unknownPermission, permissionNotHeld */
export async function changeRole(
  deps: RoleDeps,
  id: string,
  { name, description, permissions: references }: RoleFields,
): Promise<RoleView> {
  const names = references && namesOfPermissions(deps.permissions, references);
  return alterRole(deps, id, () => ({
    ...(name !== undefined && { name: canonicalName(name) }),
    ...(description !== undefined && { description }),
    ...(names && { permissions: names }),
  }));
}

/** @throws roleNotFound, systemRoleFixed, unknownPermission, permissionNotHeld */
export async function addPermission(
  deps: RoleDeps,
  id: string,
  reference: string,
): Promise<RoleView> {
  const added = namesOfPermissions(deps.permissions, [reference]);
  return alterRole(deps, id, ({ permissions }) => ({
    permissions: [...new Set([...permissions, ...added])].sort(),
  }));
}

/** @throws roleNotFound, systemRoleFixed, permissionNotInRole, permissionNotHeld */
export async function removePermission(
  deps: RoleDeps,
  id: string,
  reference: string,
): Promise<RoleView> {
  const removed = deps.permissions.find(reference)?.name;
  return alterRole(deps, id, ({ permissions }) => {
    if (removed === undefined || !permissions.includes(removed)) throw permissionNotInRole();
    return { permissions: permissions.filter((name) => name !== removed) };
  });
}

/** @throws roleNotFound, systemRoleFixed, permissionNotHeld */
export async function removeRole({ db, permissions, user }: RoleDeps, id: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const role = await lock(tx, id);
    refuseUnheld(user, declared(permissions, role.permissions));
    await deleteRole.all(tx, { id });
  });
}

type Changes = Partial<Pick<RoleRow, "name" | "description" | "permissions">>;

async function alterRole(
  { db, permissions, user }: RoleDeps,
  id: string,
  changesOf: (role: RoleRow) => Changes,
): Promise<RoleView> {
  return db.transaction().execute(async (tx) => {
    const role = await lock(tx, id);
    const changes = changesOf(role);
    refuseUnheld(
      user,
      declared(permissions, [...role.permissions, ...(changes.permissions ?? [])]),
    );
    const changed = await updateRole.first(tx, { ...changes, id });
    if (!changed) throw roleNotFound();
    return viewOfRole(permissions, changed);
  });
}

/** @throws roleNotFound, systemRoleFixed */
async function lock(tx: Db, id: string): Promise<RoleRow> {
  if (findSystemRoleByReference(id)) throw systemRoleFixed();
  const role = await lockRole(tx, id);
  if (!role) throw roleNotFound();
  return role;
}

/**
 * Resolves permissions given by name, alias or id. @throws unknownPermission, which names the
 * unknown one
 */
export function namesOfPermissions(
  permissions: Permissions,
  references: readonly string[],
): string[] {
  const names = references.map((reference) => {
    const found = permissions.find(reference);
    if (!found) throw unknownPermission({ detail: `There is no permission ${reference}.` });
    return found.name;
  });
  return [...new Set(names)].sort();
}

/** @throws roleExists if a system role has this name */
function canonicalName(name: string): string {
  const canonical = normalised(name.trim());
  if (findSystemRoleByReference(canonical)) throw roleExists();
  if (isUuid(canonical)) throw invalidRoleName();
  return canonical;
}
