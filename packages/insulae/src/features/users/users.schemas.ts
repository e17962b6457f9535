import { Type } from "typebox";
import { systemRoles } from "../../kernel/feature/feature.ts";
import { nameText, nullable, oneOf, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { maxPasswordLength, minPasswordLength } from "../../kernel/identity/passwords.ts";

// The canonicalisers decide whether an e-mail or username is valid. A pattern could not: for
// example, `ａnna@example.org` (full-width a) is valid.
export const Email = Type.String({ minLength: 3, maxLength: 254, examples: ["ada@example.org"] });
export const Username = Type.String({
  minLength: 1,
  maxLength: 64,
  description:
    "a-z and 0-9 and, except at the start, . _ and -; unique in the tenant, ignoring case.",
});
export const NewPassword = Type.String({
  minLength: minPasswordLength,
  maxLength: maxPasswordLength,
  description: "8 to 128 characters, and not a commonly used password.",
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
