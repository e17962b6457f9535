import { randomBytes } from "node:crypto";
import type { Kysely } from "kysely";
import type { Passwords } from "../../kernel/identity/passwords.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import { canonicalEmail } from "../../kernel/validation/email.ts";

export interface FirstAdmin {
  /** False if a platform administrator exists already. */
  readonly created: boolean;
  readonly email: string;
  /** Present only if this call generated it. It is stored as a hash and can't be shown again. */
  readonly password?: string;
}

/**
 * Creates the first platform administrator if there is none. If the e-mail already has an account,
 * that account becomes the administrator and gets the new password.
 *
 * @param given the e-mail (default `admin@localhost.test`) and the password (default: generated)
 * @throws invalidEmail, weakPassword
 */
export async function ensureAdmin(
  control: Kysely<ControlTables>,
  passwords: Passwords,
  given: { readonly email?: string | undefined; readonly password?: string | undefined } = {},
): Promise<FirstAdmin> {
  const existing = await control
    .selectFrom("control.accounts")
    .select("email")
    .where("platform_admin", "=", true)
    .orderBy("created_at")
    .executeTakeFirst();
  if (existing) return { created: false, email: existing.email };

  const email = canonicalEmail(given.email ?? "admin@localhost.test");
  const password = given.password ?? randomBytes(15).toString("base64url");
  const values = {
    password_hash: await passwords.hash(password),
    platform_admin: true,
    is_owner: true,
    is_active: true,
    email_verified: true,
  };
  const made = await control
    .insertInto("control.accounts")
    .values({ email, ...values })
    .onConflict((conflict) =>
      // If two nodes start together, only one creates the administrator.
      conflict
        .column("email")
        .doUpdateSet(values)
        .where("control.accounts.platform_admin", "=", false),
    )
    .returning("id")
    .executeTakeFirst();
  if (!made) return { created: false, email };
  return { created: true, email, ...(given.password === undefined && { password }) };
}
