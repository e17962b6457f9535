/**
 * Whose an e-mail is, and whose password goes with it. A user who is linked to an account logs in
 * with the account's password, so that is what they reset; and only where both have one address, or
 * whoever may change the users of one tenant could have the reset of an account sent to themselves.
 */
import type { Settings } from "../../config/settings.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { Subject } from "../../kernel/identity/subject.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";
import { findCredentials, type UserTables } from "./users.queries.ts";

export interface Identity {
  /** The user of the tenant, or without a tenant the account. */
  readonly subject: Subject;
  readonly emailVerified: boolean;
  /** Whose password they log in with; undefined where it can't be set by way of this e-mail. */
  readonly passwordOf: Subject | undefined;
}

/** @param email in its canonical form. Undefined if it is nobody's who is active. */
export async function findIdentity(
  platform: Pick<Platform, "control" | "withTenant">,
  tenant: Tenant | undefined,
  email: string,
): Promise<Identity | undefined> {
  if (!tenant) {
    const account = await findAccount(platform, "email", email);
    if (!account) return undefined;
    const subject = { tenantId: null, id: account.id };
    return { subject, emailVerified: account.email_verified, passwordOf: subject };
  }
  const user = await platform.withTenant<UserTables, Awaited<ReturnType<typeof findCredentials>>>(
    tenant,
    ({ db }) => findCredentials(db, "email", email),
  );
  if (!user?.is_active) return undefined;
  const subject = { tenantId: tenant.id, id: user.id };
  if (user.account_id === null) {
    return { subject, emailVerified: user.email_verified, passwordOf: subject };
  }
  const account = await findAccount(platform, "id", user.account_id);
  if (!account) return undefined;
  return {
    subject,
    emailVerified: isVerified(user, account),
    passwordOf: account.email === email ? { tenantId: null, id: account.id } : undefined,
  };
}

interface Address {
  readonly email: string;
  readonly email_verified: boolean;
}

/** What an account has proved counts for the users that are linked to it, where it is one address. */
export const isVerified = (user: Address, linked: Address | undefined): boolean =>
  user.email_verified || (linked?.email === user.email && linked.email_verified);

/** Whether an e-mail has to be verified before its owner may log in. */
export const isVerificationRequired = (
  { emailVerification }: Pick<Settings, "emailVerification">,
  tenant: Pick<Tenant, "settings"> | undefined,
): boolean => (tenant?.settings.email_verification ?? emailVerification) === "required";

/** Strangers may sign up where the tenant says so; where it says nothing, not in production. */
export const isRegistrationOpen = (
  { env }: Pick<Settings, "env">,
  { settings }: Pick<Tenant, "settings">,
): boolean => {
  // Who registers does so with a password.
  if (settings.password_login === "off") return false;
  if (settings.registration === undefined) return env !== "production";
  return settings.registration === "open";
};

const findAccount = ({ control }: Pick<Platform, "control">, by: "id" | "email", value: string) =>
  control
    .selectFrom("control.accounts")
    .select(["id", "email", "email_verified"])
    .where(by, "=", value)
    .where("is_active", "=", true)
    .executeTakeFirst();
