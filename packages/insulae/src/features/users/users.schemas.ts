import { Type } from "typebox";
import { systemRoles } from "../../kernel/feature/feature.ts";
import { nameText, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { maxPasswordLength, minPasswordLength } from "../../kernel/identity/passwords.ts";

// What an e-mail and a username are is decided where they are made canonical: `ａnna@example.org`
// is one, and no pattern here would know.
export const Email = Type.String({ minLength: 3, maxLength: 254, examples: ["ada@example.org"] });
export const Username = Type.String({
  minLength: 1,
  maxLength: 64,
  description: "a-z, 0-9, then also . _ and -; unique in the tenant, in upper or lower case.",
});
export const NewPassword = Type.String({
  minLength: minPasswordLength,
  maxLength: maxPasswordLength,
  description: "8 to 128 characters, and none that everybody tries first.",
});
export const PersonName = nameText(100, { minLength: 0 });
export const Role = oneOf(systemRoles);

/** A user as the API shows it. */
export const User = Type.Object(
  {
    id: uuid,
    email: Type.String(),
    username: nullable(Type.String()),
    first_name: Type.String(),
    last_name: Type.String(),
    role: Type.String(),
    is_active: Type.Boolean(),
    email_verified: Type.Boolean(),
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "User" },
);
