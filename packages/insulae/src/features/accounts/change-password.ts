import { refuseTenantToken, type SessionCredential } from "../../kernel/identity/credential.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import { idOf, type Subject } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { AccountId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { findSecret, resetPurpose, type UserTables } from "../users/users.feature.ts";
import { findAccount, findAccountOfUser } from "./accounts.queries.ts";
import { notify } from "./recovery.ts";
import { findSubject, type SignedInReply, signIn } from "./sign-in.ts";
import type { SignInContext } from "./sign-in-subject.ts";

export const wrongPassword = defineError(
  "wrong_password",
  400,
  "The current password is wrong. Try again, or reset it by e-mail.",
);

interface PasswordChange {
  readonly current_password: string;
  readonly new_password: string;
}

/**
 * Changes the caller's password, ends all their sessions, and opens a new session in the same
 * context. For a user who is linked to an account, this is the account's password.
 *
 * @throws wrongPassword, weakPassword, passwordsBusy, tenantTokenRefused
 */
export async function changePassword(
  context: SignInContext,
  principal: Principal,
  credential: SessionCredential,
  tenant: Tenant | undefined,
  { current_password: current, new_password: chosen }: PasswordChange,
): Promise<SignedInReply> {
  const { platform } = context;
  refuseTenantToken(credential);
  const proof = await platform.sessions.findProof(credential.sessionId);
  if (!proof) throw invalidToken();
  const held = await findPassword(context, principal, tenant);
  const passwords = platform.passwords.of(tenant);
  if (!(await passwords.verify(current, held?.hash)) || !held) {
    const error = { pointer: "/body/current_password", message: wrongPassword.title };
    throw wrongPassword({ errors: [error] });
  }
  const hash = await passwords.hash(chosen);
  // If two changes run at once, the second no longer matches the hash that it has verified.
  if (!(await replace(context, tenant, held, hash))) throw wrongPassword();
  await platform.oneTimeTokens.revoke(resetPurpose, held.subject);
  await notify(platform, tenant, held.email);
  const subject = await findSubject(platform, idOf(principal));
  if (!subject) throw invalidToken();
  return signIn(context, subject, proof);
}

/** Whether this is the password that the caller logs in with. @throws passwordsBusy */
export async function isOwnPassword(
  context: SignInContext,
  principal: Principal,
  tenant: Tenant | undefined,
  password: string,
): Promise<boolean> {
  const held = await findPassword(context, principal, tenant);
  return context.platform.passwords.of(tenant).verify(password, held?.hash);
}

interface Held {
  readonly subject: Subject;
  readonly email: string;
  readonly hash: string | null;
}

/** The hash of the password that the caller logs in with. */
async function findPassword(
  { platform }: SignInContext,
  principal: Principal,
  tenant: Tenant | undefined,
): Promise<Held | undefined> {
  const { control, withTenant } = platform;
  if (principal.kind === "tenant" && tenant) {
    const linked = await findAccountOfUser(control, tenant.id, principal.id);
    if (!linked) {
      const user = await withTenant<UserTables, Awaited<ReturnType<typeof findSecret>>>(
        tenant,
        ({ db }) => findSecret(db, principal.id),
      );
      const subject = { tenantId: tenant.id, id: principal.id };
      return user && { subject, email: user.email, hash: user.password_hash };
    }
    return accountPassword(platform.control, linked.id);
  }
  return principal.kind === "core" ? accountPassword(platform.control, principal.id) : undefined;
}

async function accountPassword(
  control: SignInContext["platform"]["control"],
  id: AccountId,
): Promise<Held | undefined> {
  const account = await findAccount(control, "id", id);
  const subject = { tenantId: null, id };
  return account && { subject, email: account.email, hash: account.password_hash };
}

async function replace(
  { platform }: SignInContext,
  tenant: Tenant | undefined,
  { subject, hash: old }: Held,
  hash: string,
): Promise<boolean> {
  if (subject.tenantId === null) {
    const { numUpdatedRows } = await platform.control
      .updateTable("control.accounts")
      .set({ password_hash: hash })
      .where("id", "=", subject.id)
      .where("password_hash", "=", old ?? "")
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }
  if (!tenant) return false;
  return platform.withTenant<UserTables, boolean>(tenant, async ({ db, forgetUser }) => {
    const { numUpdatedRows } = await db
      .updateTable("users")
      .set({ password_hash: hash })
      .where("id", "=", subject.id)
      .where("password_hash", "=", old ?? "")
      .executeTakeFirst();
    await forgetUser(subject.id);
    return numUpdatedRows > 0n;
  });
}
