import type { Static } from "typebox";
import type { Config } from "../../config.ts";
import { canonicalEmail } from "../../kernel/auth/email.ts";
import { invalidCredentials } from "../../kernel/auth/errors.ts";
import { defineError } from "../../kernel/errors.ts";
import { validationFailed } from "../../kernel/http/errors.ts";
import type { Platform } from "../../kernel/platform.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";
import {
  canonicalUsername,
  createUser,
  type UserTables,
  type UserView,
} from "../users/users.feature.ts";
import { insertAccount } from "./accounts.queries.ts";
import type { Registration } from "./accounts.schemas.ts";
import {
  findAccountSubject,
  findUserSubject,
  type SignedInReply,
  type SignInContext,
  signIn,
} from "./sign-in.ts";

export const registrationClosed = defineError(
  "registration_closed",
  403,
  "This tenant takes no registrations; ask for an invitation",
);
/**
 * That an address is registered is said openly: the sources of this API document it, and who signs
 * up is signed in at once, which no reply for a taken address could look like. It is not said any
 * faster than the opposite: the password is hashed first.
 */
export const accountExists = defineError("email_taken", 409, "This e-mail is registered already");

type Person = Static<typeof Registration>;

/**
 * Makes a user of the tenant, with the role `user`.
 *
 * @throws registrationClosed, invalidEmail, invalidUsername, weakPassword, passwordsBusy
 */
export async function registerUser(
  context: SignInContext,
  tenant: Tenant,
  { username, ...person }: Person,
): Promise<SignedInReply> {
  const { platform } = context;
  if (!isOpen(platform.config, tenant)) throw registrationClosed();
  const values = {
    ...(await valuesOf(platform, person)),
    ...(username !== undefined && { username: canonicalUsername(username) }),
    role: "user",
  };
  const user = await platform.withTenant<UserTables, UserView | undefined>(tenant, ({ db }) =>
    createUser.first(db, values),
  );
  const subject = user && (await findUserSubject(platform, tenant, user.id));
  if (!subject) throw registrationClosed();
  return signIn(context, subject);
}

/**
 * Makes an account, which may then make tenants (it is an owner to be) or join some.
 *
 * @throws invalidEmail, weakPassword, passwordsBusy
 */
export async function registerAccount(
  context: SignInContext,
  { username, ...person }: Person,
): Promise<SignedInReply> {
  const { platform } = context;
  if (username !== undefined) {
    const message = "only the users of a tenant have usernames";
    throw validationFailed({ errors: [{ pointer: "/body/username", message }] });
  }
  const values = await valuesOf(platform, person);
  const { id } = await insertAccount(platform.control, { ...values, is_owner: true });
  const subject = await findAccountSubject(platform, id);
  if (!subject) throw invalidCredentials();
  return signIn(context, subject);
}

async function valuesOf(
  { passwords }: Platform,
  { email, password, first_name, last_name }: Person,
) {
  const address = canonicalEmail(email);
  return {
    email: address,
    password_hash: await passwords.hash(password),
    first_name: first_name?.trim() ?? "",
    last_name: last_name?.trim() ?? "",
  };
}

/** Strangers may sign up where the tenant says so; where it says nothing, not in production. */
const isOpen = (config: Config, { settings }: Tenant): boolean =>
  settings.registration === undefined
    ? config.env !== "production"
    : settings.registration === "open";
