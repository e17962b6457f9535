/**
 * The permissions that features declare, each with the least powerful system role that holds it. A
 * tenant's custom roles add to a user's system role.
 */

import { uuidV5 } from "../lib/uuid.ts";
import {
  type PermissionDefinition,
  type SystemRole,
  systemRoles,
} from "./permission-definition.ts";

export interface Permission {
  /** The UUIDv5 of the name. */
  readonly id: string;
  /** `resource:action` */
  readonly name: string;
  readonly description: string;
  /** The least powerful system role that holds it. */
  readonly role: SystemRole;
  readonly aliases: readonly string[];
}

export interface Permissions {
  readonly all: readonly Permission[];
  /** @param reference its name, an alias or its id */
  find(reference: string): Permission | undefined;
  /**
   * The permissions of a system role (an unknown one has none) plus those added by custom roles.
   * Permissions that no feature declares any more are ignored.
   */
  of(role: string, added?: readonly string[]): ReadonlySet<string>;
  /** The system roles that hold it. */
  rolesWith(name: string): readonly SystemRole[];
}

/** Whether a system role is at least as powerful as another; false for unknown roles. */
export const isAtLeast = (role: string, other: string): boolean => {
  const order: readonly string[] = systemRoles;
  const rank = order.indexOf(role);
  return rank >= 0 && rank <= order.indexOf(other);
};

export function createPermissions(
  features: readonly { readonly permissions: ReadonlyMap<string, PermissionDefinition> }[],
): Permissions {
  const all = features.flatMap(({ permissions }) =>
    [...permissions].map(([name, { description, role, aliases = [] }]) =>
      Object.freeze({ id: uuidV5(name), name, description, role, aliases }),
    ),
  );
  const byReference = new Map<string, Permission>(
    all.flatMap((permission) =>
      [permission.name, permission.id, ...permission.aliases].map((key) => [key, permission]),
    ),
  );
  const byRole = new Map<string, ReadonlySet<string>>(
    systemRoles.map((role) => [
      role,
      new Set(all.filter(({ role: least }) => isAtLeast(role, least)).map(({ name }) => name)),
    ]),
  );
  const declared = byRole.get("owner") ?? nothing;

  return {
    all,
    rolesWith: (name) => systemRoles.filter((role) => byRole.get(role)?.has(name)),
    find: (reference) => byReference.get(reference) ?? byReference.get(reference.toLowerCase()),
    of(role, added = []) {
      const own = byRole.get(role) ?? nothing;
      const more = added.filter((name) => declared.has(name) && !own.has(name));
      return more.length === 0 ? own : new Set([...own, ...more]);
    },
  };
}

const nothing: ReadonlySet<string> = new Set();
