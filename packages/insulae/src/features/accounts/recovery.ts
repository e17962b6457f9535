/**
 * Verifies e-mails and resets passwords.
 *
 * A request by e-mail only queues a message: the same work for every address, registered or not.
 * The sender looks up the recipient later and mails the stored address, not the one typed.
 */

import type { Platform } from "../../kernel/feature/platform.ts";
import type { Subject } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import {
  findUser,
  noticeMail,
  resetPurpose,
  type UserTables,
  verifyPurpose,
  welcomeMail,
} from "../users/users.feature.ts";

export const invalidLink = defineError(
  "invalid_link",
  400,
  "This link was used, has expired, or was replaced by a newer one. Request another.",
);

/** The person that a redeemed link was issued to. */
export interface Redeemed {
  readonly subject: Subject;
  readonly tenant: Tenant | undefined;
}

/** @param known the tenant of the request; links issued for other tenants are invalid there */
export async function verifyEmail(
  platform: Platform,
  known: Tenant | undefined,
  token: string,
): Promise<Redeemed> {
  const { subject, tenant, email } = await holderOf(platform, known, verifyPurpose, token);
  const redeemed = await platform.oneTimeTokens.redeem(verifyPurpose, token);
  if (
    !redeemed ||
    !(await change(platform, { subject, tenant }, email, { email_verified: true }))
  ) {
    throw invalidLink();
  }
  await platform.mail.send(welcomeMail, { to: email, tenant, variables: {} });
  return { subject, tenant };
}

/**
 * Sets a new password and ends all sessions. Since the link was read in the mailbox, the address
 * counts as verified too. An inactive person stays inactive.
 *
 * @throws invalidLink, weakPassword (the link stays valid), passwordsBusy
 */
export async function resetPassword(
  platform: Platform,
  known: Tenant | undefined,
  token: string,
  password: string,
): Promise<Redeemed> {
  const { subject, tenant, email } = await holderOf(platform, known, resetPurpose, token);
  // Before the token is redeemed: a password that is too weak must not use it up.
  const password_hash = await platform.passwords.of(tenant).hash(password);
  const redeemed = await platform.oneTimeTokens.redeem(resetPurpose, token);
  const values = { password_hash, email_verified: true };
  if (!redeemed || !(await change(platform, { subject, tenant }, email, values))) {
    throw invalidLink();
  }
  await notify(platform, tenant, email);
  return { subject, tenant };
}

export const notify = (
  { mail }: Pick<Platform, "mail">,
  tenant: Tenant | undefined,
  to: string,
): Promise<void> =>
  mail.send(noticeMail, {
    to,
    tenant,
    variables: { what: "password_changed", at: new Date().toUTCString() },
  });

/** The holder of a token that is valid here and now. Does not redeem it. */
async function holderOf(
  { oneTimeTokens, tenants }: Platform,
  known: Tenant | undefined,
  purpose: string,
  token: string,
) {
  const held = await oneTimeTokens.find(purpose, token);
  if (!held) throw invalidLink();
  const { subject, detail } = held;
  const tenant = subject.tenantId === null ? undefined : await tenants.find(subject.tenantId);
  if (subject.tenantId !== null && tenant?.status !== "active") throw invalidLink();
  if (known && tenant && known.id !== tenant.id) throw invalidLink();
  return { subject, tenant, email: detail.email ?? "" };
}

interface Values {
  readonly password_hash?: string;
  readonly email_verified: boolean;
}

/** @returns false if the person is gone, inactive, or has changed their e-mail */
async function change(
  { control, withTenant }: Platform,
  { subject, tenant }: Redeemed,
  email: string,
  values: Values,
): Promise<boolean> {
  if (subject.tenantId === null) {
    const { numUpdatedRows } = await control
      .updateTable("control.accounts")
      .set(values)
      .where("id", "=", subject.id)
      .where("email", "=", email)
      .where("is_active", "=", true)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }
  if (!tenant) return false;
  return withTenant<UserTables, boolean>(tenant, async ({ events, forgetUser }) => {
    const { id } = subject;
    const changed = await events.recording("user.updated", async (db) => {
      const { numUpdatedRows } = await db
        .updateTable("users")
        .set(values)
        .where("id", "=", id)
        .where("email", "=", email)
        .where("is_active", "=", true)
        .$if(values.password_hash !== undefined, (query) => query.where("account_id", "is", null))
        .executeTakeFirst();
      return numUpdatedRows > 0n ? findUser.first(db, { id }) : undefined;
    });
    await forgetUser(id);
    return changed !== undefined;
  });
}
