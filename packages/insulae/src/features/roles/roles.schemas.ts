import { Type } from "typebox";
import { systemRoles } from "../../kernel/feature/feature.ts";
import { nameText, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import type { Permission as Declared } from "../../kernel/identity/permissions.ts";

const Name = nameText(100);
const Description = Type.String({ maxLength: 1_000 });

export const PermissionReference = Type.String({
  minLength: 1,
  maxLength: 200,
  description: "A permission's name, alias or id.",
  examples: ["contacts:read"],
});
const PermissionReferences = Type.Array(PermissionReference, { maxItems: 1_000 });

export const Role = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    description: Type.String(),
    is_system_role: Type.Boolean(),
    permissions: Type.Array(Type.String(), { description: "By name." }),
    created_at: nullable(timestamp),
    updated_at: nullable(timestamp),
  },
  { $id: "Role", description: "System roles have no timestamps: they always exist." },
);

export const NewRole = Type.Object(
  {
    name: Name,
    description: Type.Optional(Description),
    permissions: Type.Optional(PermissionReferences),
  },
  { $id: "NewRole" },
);

export const RoleChanges = Type.Object(
  {
    name: Type.Optional(Name),
    description: Type.Optional(Description),
    permissions: Type.Optional(PermissionReferences),
  },
  { $id: "RoleChanges", minProperties: 1, description: "Absent properties stay unchanged." },
);

export const Permission = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    description: Type.String(),
    resource: Type.String(),
    action: Type.String(),
    aliases: Type.Array(Type.String()),
    role: oneOf(systemRoles, { description: "The lowest system role that holds it." }),
  },
  { $id: "Permission" },
);

export const viewOfPermission = ({ id, name, description, aliases, role }: Declared) => {
  const [resource = "", action = ""] = name.split(":");
  return { id, name, description, resource, action, aliases: [...aliases], role };
};
