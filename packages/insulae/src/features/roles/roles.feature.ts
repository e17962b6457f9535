import { feature } from "../../kernel/feature/feature.ts";
import type { RoleTables } from "./roles.queries.ts";
import { roleRoutes } from "./roles.routes.ts";
import { roleExists } from "./roles.service.ts";

export { findOwnRole } from "./assignment.ts";
export type { RoleRow, RoleTables } from "./roles.queries.ts";
export { PermissionReference } from "./roles.schemas.ts";
export {
  declaredNames,
  namesOfPermissions,
  roleNotFound,
  unknownPermission,
} from "./roles.service.ts";

/** Roles and their permissions: the system roles and the tenant's own. */
export const roles = feature<RoleTables>("roles", {
  dependsOn: ["users"],
  permissions: {
    "roles:read": { description: "See roles, and who has them", role: "user" },
    "roles:write": {
      description: "Create and change roles, and grant them to users",
      role: "admin",
      aliases: ["ManageRoles"],
    },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["roles", "user_roles"],
  constraints: { roles_name_key: roleExists },
  routes: roleRoutes,
});
