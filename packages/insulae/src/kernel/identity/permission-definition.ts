/** Who holds a permission that a feature declares. */

/** The system roles, most powerful first. Each holds all permissions of those after it. */
export const systemRoles = ["owner", "admin", "manager", "user", "viewer"] as const;
export type SystemRole = (typeof systemRoles)[number];

export interface PermissionDefinition {
  readonly description: string;
  /** The least powerful system role that holds it. */
  readonly role: SystemRole;
  /** Other names accepted when granting permissions to roles and API keys. */
  readonly aliases?: readonly string[];
}
