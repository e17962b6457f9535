/** Who holds a permission that a feature declares. */

/** The system roles, most powerful first. What is given to one is held by all before it. */
export const systemRoles = ["owner", "admin", "manager", "user", "viewer"] as const;
export type SystemRole = (typeof systemRoles)[number];

export interface PermissionDefinition {
  readonly description: string;
  /** The least of the system roles that holds it. */
  readonly role: SystemRole;
  /** Other names that it goes by where roles and API keys are given permissions. */
  readonly aliases?: readonly string[];
}
