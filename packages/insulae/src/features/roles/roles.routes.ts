import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import {
  asId,
  lastOwner,
  ownsTenant,
  permissionNotHeld,
  roleAboveOwn,
  userNotFound,
} from "../users/users.feature.ts";
import { giveRole, roleNotAssigned, roleRequired, rolesOfUser, takeRole } from "./assignment.ts";
import type { RoleTables } from "./roles.queries.ts";
import {
  NewRole,
  Permission,
  PermissionReference,
  Role,
  RoleChanges,
  viewOfPermission,
} from "./roles.schemas.ts";
import {
  addPermission,
  addRole,
  changeRole,
  getRole,
  invalidRoleName,
  pageOfRoles,
  permissionNotInRole,
  removePermission,
  removeRole,
  roleExists,
  roleNotFound,
  systemRoleFixed,
  tooManyRoles,
  unknownPermission,
} from "./roles.service.ts";

const RolesOfUser = Type.Object({ items: Type.Array(Role) }, { $id: "RolesOfUser" });

/** In lower case, as PostgreSQL writes UUIDs: cache keys contain the id in this form. */
const userIdOf = ({ id }: { id: string }) => asId(id);

const changing = [roleNotFound, systemRoleFixed, permissionNotHeld];

export const roleRoutes = (r: RouteBuilder<RoleTables>) => [
  r.get(
    "/permissions",
    {
      permission: "roles:read",
      summary: "Lists all permissions, each with the lowest system role that holds it",
      response: Type.Object({ items: Type.Array(Permission) }),
    },
    ({ permissions }) => ({ items: permissions.all.map(viewOfPermission) }),
  ),

  r.get(
    "/roles",
    {
      permission: "roles:read",
      summary: "Lists roles: the system roles, most powerful first, then the tenant's own by name",
      query: pageQuery(),
      response: pageOf(Role),
    },
    (context) => pageOfRoles(context, context.page),
  ),

  r.post(
    "/roles",
    {
      permission: "roles:write",
      audit: "role.created",
      summary: "Creates a role with permissions that you hold yourself",
      body: NewRole,
      response: { 201: Role },
      errors: [roleExists, invalidRoleName, unknownPermission, permissionNotHeld, tooManyRoles],
    },
    (context) => addRole(context, context.body),
  ),

  r.get(
    "/roles/:id",
    {
      permission: "roles:read",
      summary: "Returns a role",
      params: idParams,
      response: Role,
      etag: "roles",
      errors: [roleNotFound],
    },
    (context) => getRole(context, context.params.id),
  ),

  r.put(
    "/roles/:id",
    {
      permission: "roles:write",
      impersonators: false,
      audit: "role.changed",
      summary: "Changes a role, with effect from its holders' next requests",
      params: idParams,
      body: RoleChanges,
      response: Role,
      errors: [...changing, roleExists, invalidRoleName, unknownPermission],
    },
    async (context) => {
      const role = await changeRole(context, context.params.id, context.body);
      await context.forgetUser();
      const { name, permissions } = role;
      await context.audit({
        action: "role.changed",
        target: { type: "role", id: role.id },
        detail: { name, permissions },
      });
      return role;
    },
  ),

  r.delete(
    "/roles/:id",
    {
      permission: "roles:write",
      audit: "role.deleted",
      summary: "Deletes a role and revokes it from all users",
      params: idParams,
      response: { 204: null },
      errors: changing,
    },
    async (context) => {
      await removeRole(context, context.params.id);
      await context.forgetUser();
    },
  ),

  r.post(
    "/roles/:id/permissions",
    {
      permission: "roles:write",
      impersonators: false,
      audit: "role.permission_added",
      summary: "Adds a permission to a role",
      params: idParams,
      body: Type.Object({ permission: PermissionReference }, { $id: "PermissionToAdd" }),
      response: Role,
      errors: [...changing, unknownPermission],
    },
    async (context) => {
      const { permission } = context.body;
      const role = await addPermission(context, context.params.id, permission);
      await context.forgetUser();
      await context.audit({
        action: "role.permission_added",
        target: { type: "role", id: role.id },
        detail: { permission },
      });
      return role;
    },
  ),

  r.delete(
    "/roles/:id/permissions/:permission_id",
    {
      permission: "roles:write",
      audit: "role.permission_removed",
      summary: "Removes a permission from a role",
      params: Type.Object({ id: uuid, permission_id: PermissionReference }),
      response: { 204: null },
      errors: [...changing, permissionNotInRole],
    },
    async (context) => {
      const { id, permission_id: permission } = context.params;
      await removePermission(context, id, permission);
      await context.forgetUser();
      await context.audit({
        action: "role.permission_removed",
        target: { type: "role", id },
        detail: { permission },
      });
    },
  ),

  r.get(
    "/users/:id/roles",
    {
      permission: "roles:read",
      summary: "Lists a user's roles: the system role, then the tenant's own",
      params: idParams,
      response: RolesOfUser,
      errors: [userNotFound],
    },
    (context) => rolesOfUser(context, userIdOf(context.params)),
  ),

  r.post(
    "/users/:id/roles",
    {
      permission: "roles:write",
      impersonators: false,
      audit: "user.role_given",
      summary: "Grants a user a role; a system role replaces the current one",
      params: idParams,
      body: Type.Object(
        {
          role: Type.String({ minLength: 1, maxLength: 100, description: "A role's id or name." }),
        },
        { $id: "RoleToGive" },
      ),
      response: RolesOfUser,
      errors: [userNotFound, roleNotFound, roleAboveOwn, permissionNotHeld, lastOwner, ownsTenant],
    },
    async (context) => {
      const id = userIdOf(context.params);
      const { role } = context.body;
      await giveRole(context, id, role);
      await context.forgetUser(id);
      await context.audit({
        action: "user.role_given",
        target: { type: "user", id },
        detail: { role },
      });
      return rolesOfUser(context, id);
    },
  ),

  r.delete(
    "/users/:id/roles/:role_id",
    {
      permission: "roles:write",
      audit: "user.role_taken",
      summary: "Revokes a role from a user; revoking the system role makes them a viewer",
      params: Type.Object({ id: uuid, role_id: uuid }),
      response: { 204: null },
      errors: [
        userNotFound,
        roleNotAssigned,
        roleRequired,
        roleAboveOwn,
        permissionNotHeld,
        lastOwner,
        ownsTenant,
      ],
    },
    async (context) => {
      const id = userIdOf(context.params);
      const { role_id: role } = context.params;
      await takeRole(context, id, role);
      await context.forgetUser(id);
      await context.audit({
        action: "user.role_taken",
        target: { type: "user", id },
        detail: { role },
      });
    },
  ),
];
