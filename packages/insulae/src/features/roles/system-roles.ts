/**
 * The system roles as the API shows them. They are the same in every tenant, not stored in a table
 * and not changeable. Their ids are derived from their names.
 */

import { type SystemRole, systemRoles } from "../../kernel/feature/feature.ts";
import type { Permissions } from "../../kernel/identity/permissions.ts";
import { uuidV5 } from "../../kernel/lib/uuid.ts";
import type { RoleRow } from "./roles.queries.ts";

const descriptions: Readonly<Record<SystemRole, string>> = {
  owner: "Can do everything in the tenant; every tenant has at least one",
  admin: "Manages the tenant: its users, roles and settings",
  manager: "Works with all data and sees the other users",
  user: "Works with the tenant's data",
  viewer: "Can only read the tenant's data",
};

/** A role as clients see it. */
export interface RoleView extends Omit<RoleRow, "created_at" | "updated_at"> {
  readonly is_system_role: boolean;
  readonly created_at: Date | null;
  readonly updated_at: Date | null;
}

const idOf = (role: SystemRole): string => uuidV5(role);

/** @param reference a system role's id or name; case-insensitive */
export const findSystemRoleByReference = (reference: string): SystemRole | undefined => {
  const wanted = reference.toLowerCase();
  return systemRoles.find((role) => role === wanted || idOf(role) === wanted);
};

export const viewOfSystemRole = (permissions: Permissions, role: SystemRole): RoleView => ({
  id: idOf(role),
  name: role,
  description: descriptions[role],
  is_system_role: true,
  permissions: [...permissions.of(role)].sort(),
  created_at: null,
  updated_at: null,
});
