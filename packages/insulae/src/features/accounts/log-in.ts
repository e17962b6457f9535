/**
 * Logging in. Where a tenant is known, its user logs in, by a password of their own or by that of
 * the account that they are linked to. Where none is known, an account logs in.
 *
 * Whatever is wrong (no such person, no password, a wrong one, not active, an e-mail that has to be verified first) the answer is the same,
 * and comes after the same work: the same queries, and one hash.
 */
import { epochOf, isOfAccount } from "../../kernel/auth/authority.ts";
import { findCanonicalEmail } from "../../kernel/auth/email.ts";
import { invalidCredentials } from "../../kernel/auth/errors.ts";
import type { Logger } from "../../kernel/telemetry/log.ts";
import type { AccountId, Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
import {
  findCredentials,
  isVerificationRequired,
  isVerified,
  type UserTables,
} from "../users/users.feature.ts";
import { findAccount, findLinkedAccount, listMemberships } from "./accounts.queries.ts";
import { renewPassword } from "./renew-password.ts";
import {
  findUserSubject,
  mayEnter,
  type SignedInReply,
  type SignInContext,
  signIn,
} from "./sign-in.ts";

export interface Credentials {
  readonly by: "email" | "username";
  /** As it was typed. */
  readonly name: string;
  readonly password: string;
}

interface Setting extends SignInContext {
  readonly log: Logger;
}

/** An id and a name that nobody has, to ask for where there is nobody to ask for. */
const nobody = { id: "00000000-0000-0000-0000-000000000000" as AccountId & UserId, name: "" };

/** @throws invalidCredentials, passwordsBusy */
export async function logInUser(
  setting: Setting,
  tenant: Tenant,
  { by, name, password }: Credentials,
): Promise<SignedInReply> {
  const { platform, log } = setting;
  const found = await platform.withTenant<UserTables, Awaited<ReturnType<typeof findCredentials>>>(
    tenant,
    ({ db }) => findCredentials(db, by, canonical(by, name)),
  );
  const linked = await findLinkedAccount(
    platform.control,
    found?.account_id ?? nobody.id,
    tenant.id,
    found?.id ?? nobody.id,
  );
  const hash = found?.password_hash ?? (linked?.is_active ? linked.password_hash : undefined);
  const right = await platform.passwords.verify(password, hash);
  if (!found || !right) throw refuse(log, reasonFor(found, hash), found?.id);
  const { password_hash: _hash, account_id, sessions_valid_from, ...user } = found;
  if (!user.is_active) throw refuse(log, "user_inactive", user.id);
  if (isVerificationRequired(platform.config, tenant) && !isVerified(user, linked)) {
    throw refuse(log, "email_not_verified", user.id);
  }
  const holder = account_id === null ? { tenant, userId: user.id } : { accountId: account_id };
  await renewPassword(platform, holder, password, hash);
  const epoch = linked
    ? epochOf(sessions_valid_from, linked.sessions_valid_from)
    : epochOf(sessions_valid_from);
  const signedIn = await signIn(setting, { tenant, user, epoch });
  log.info({ user_id: user.id, tenant_id: tenant.id }, "User logged in successfully");
  return signedIn;
}

/**
 * An account that is in one tenant is signed in there; one that is in several, or in none, into the
 * core, from where it switches. So is a platform administrator, whose work is there.
 *
 * @throws invalidCredentials, passwordsBusy
 */
export async function logInAccount(
  setting: Setting,
  { by, name, password }: Credentials,
): Promise<SignedInReply> {
  const { platform, log } = setting;
  // Accounts have no usernames, and it takes as long to say so.
  const email = by === "email" ? canonical(by, name) : nobody.name;
  const found = await findAccount(platform.control, "email", email);
  const right = await platform.passwords.verify(password, found?.password_hash);
  if (!found || !right) throw refuse(log, reasonFor(found, found?.password_hash), found?.id);
  if (!found.is_active) throw refuse(log, "user_inactive", found.id);
  if (isVerificationRequired(platform.config, undefined) && !found.email_verified) {
    throw refuse(log, "email_not_verified", found.id);
  }
  const { password_hash: _hash, sessions_valid_from, ...account } = found;
  await renewPassword(platform, { accountId: account.id }, password, found.password_hash);
  const [only, ...others] = await listMemberships(platform.control, account.id);
  const tenant =
    only && others.length === 0 && !account.platform_admin
      ? await platform.tenants.find(only.id)
      : undefined;
  const user = tenant && only && (await findUserSubject(platform, tenant, only.user_id));
  const member = user && mayEnter(platform, user, account) ? user : undefined;
  const epoch = epochOf(sessions_valid_from);
  // The account's password may have been changed since it was read.
  const signedIn = await signIn(
    setting,
    member && isOfAccount(member.epoch, epoch) ? member : { account, epoch },
  );
  log.info({ user_id: signedIn.user.id, tenant_id: tenant?.id }, "User logged in successfully");
  return signedIn;
}

const canonical = (by: Credentials["by"], name: string): string =>
  by === "email"
    ? (findCanonicalEmail(name) ?? nobody.name)
    : name.trim().normalize("NFKC").toLowerCase();

const reasonFor = (found: object | undefined, hash: string | null | undefined): string => {
  if (!found) return "unknown_user";
  return hash ? "invalid_password" : "no_password";
};

function refuse(log: Logger, reason: string, userId: string | undefined) {
  log.warn({ reason, user_id: userId }, "Failed login attempt");
  return invalidCredentials();
}
