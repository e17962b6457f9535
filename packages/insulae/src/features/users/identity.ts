/**
 * Resolves an e-mail to a user or account and to the password behind it. A user linked to an
 * account logs in with the account's password, so a reset sets that one, but only if both have the
 * same address: otherwise an administrator of one tenant could redirect the reset of somebody's
 * account.
 */
import type { Settings } from "../../config/settings.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { Subject } from "../../kernel/identity/subject.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { findCredentials, type UserTables } from "./users.queries.ts";

export interface Identity {
  /** The user of the tenant, or without a tenant the account. */
  readonly subject: Subject;
  readonly emailVerified: boolean;
  /** The owner of their password; undefined if it can't be reset by this e-mail. */
  readonly passwordOf: Subject | undefined;
}

/** @param email in canonical form. @returns undefined if no active user or account has it */
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

/** An account's verification extends to its linked users that have the same address. */
export const isVerified = (user: Address, linked: Address | undefined): boolean =>
  user.email_verified || (linked?.email === user.email && linked.email_verified);

/** Whether people must verify their e-mail before they can log in. */
export const isVerificationRequired = (
  { emailVerification }: Pick<Settings, "emailVerification">,
  tenant: Pick<Tenant, "settings"> | undefined,
): boolean => (tenant?.settings.email_verification ?? emailVerification) === "required";

/** Whether anybody may register: the tenant's setting; by default yes, except in production. */
export const isRegistrationOpen = (
  { env }: Pick<Settings, "env">,
  { settings }: Pick<Tenant, "settings">,
): boolean => {
  // Registration sets a password.
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
