/**
 * Logging in. Where a tenant is known, its user logs in, by a password of their own or by that of
 * the account that they are linked to. Where none is known, an account logs in.
 *
 * Whatever is wrong (no such person, no password, a wrong one, not active, an e-mail that has to be
 * verified first, a tenant that takes no passwords) the answer is the same, and comes after the same work: the same queries, one hash,
 * and an entry in the audit log of the tenant, or in the platform's.
 */
import type { AuditActor, TenantAudit } from "../../kernel/audit/audit.ts";
import { epochOf } from "../../kernel/identity/authority.ts";
import { invalidCredentials } from "../../kernel/identity/errors.ts";
import { normalised } from "../../kernel/lib/text.ts";
import type { Logger } from "../../kernel/telemetry/log.ts";
import type { AccountId, Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
import { findCanonicalEmail } from "../../kernel/validation/email.ts";
import {
  findCredentials,
  isVerificationRequired,
  isVerified,
  type UserTables,
} from "../users/users.feature.ts";
import { findAccount, findLinkedAccount } from "./accounts.queries.ts";
import { renewPassword } from "./renew-password.ts";
import { destinationOf, mayEnterBy, type SignedInReply, signIn } from "./sign-in.ts";
import type { SignInContext } from "./sign-in-subject.ts";

export interface Credentials {
  readonly by: "email" | "username";
  /** As it was typed. */
  readonly name: string;
  readonly password: string;
}

interface Setting extends SignInContext {
  readonly audit: TenantAudit;
  readonly log: Logger;
}

/** Who is, or seems to be, logging in, and where; undefined: the core. */
interface Attempt {
  readonly tenant: Tenant | undefined;
  readonly person: { readonly id: string; readonly email: string } | undefined;
}

/** An id and a name that nobody has, to ask for where there is nobody to ask for. */
const nobody = { id: "00000000-0000-0000-0000-000000000000" as AccountId & UserId, name: "" };

/**
 * Logs in a user of the tenant; without one an account, into its one tenant or the core.
 *
 * @param options.core leaves an account in the core.
 * @throws invalidCredentials, passwordsBusy
 */
export const logIn = (
  setting: Setting,
  tenant: Tenant | undefined,
  credentials: Credentials,
  { core = false }: { readonly core?: boolean } = {},
): Promise<SignedInReply> =>
  tenant ? logInUser(setting, tenant, credentials) : logInAccount(setting, credentials, core);

/** For a tenant that there is not: as much work as for somebody whom a tenant doesn't know. */
export const refuseLogIn = (setting: Setting, password: string): Promise<never> =>
  logInAccount(setting, { by: "username", name: nobody.name, password }, true).then(() => {
    throw invalidCredentials();
  });

async function logInUser(
  setting: Setting,
  tenant: Tenant,
  { by, name, password }: Credentials,
): Promise<SignedInReply> {
  const { platform } = setting;
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
  const right = await platform.passwords.of(tenant).verify(password, hash);
  const attempt = { tenant, person: found };
  if (!found || !right) throw await refuse(setting, attempt, reasonFor(found, hash));
  const { password_hash: _hash, account_id: accountId, sessions_valid_from, ...user } = found;
  if (!user.is_active) throw await refuse(setting, attempt, "user_inactive");
  if (isVerificationRequired(platform.config, tenant) && !isVerified(user, linked)) {
    throw await refuse(setting, attempt, "email_not_verified");
  }
  if (!mayEnterBy(["pwd"], { tenant, user })) {
    throw await refuse(setting, attempt, "password_login_off");
  }
  const holder = accountId === null ? { tenant, userId: user.id } : { accountId };
  await renewPassword(platform, holder, password, hash);
  const epoch = linked
    ? epochOf(sessions_valid_from, linked.sessions_valid_from)
    : epochOf(sessions_valid_from);
  const signedIn = await signIn(setting, { tenant, user, accountId, epoch });
  await note(setting, { tenant, person: user });
  return signedIn;
}

async function logInAccount(
  setting: Setting,
  { by, name, password }: Credentials,
  core: boolean,
): Promise<SignedInReply> {
  const { platform } = setting;
  // Accounts have no usernames, and it takes as long to say so.
  const email = by === "email" ? canonical(by, name) : nobody.name;
  const found = await findAccount(platform.control, "email", email);
  const right = await platform.passwords.verify(password, found?.password_hash);
  const attempt = { tenant: undefined, person: found };
  if (!found || !right) {
    throw await refuse(setting, attempt, reasonFor(found, found?.password_hash));
  }
  if (!found.is_active) throw await refuse(setting, attempt, "user_inactive");
  if (isVerificationRequired(platform.config, undefined) && !found.email_verified) {
    throw await refuse(setting, attempt, "email_not_verified");
  }
  const { password_hash: _hash, sessions_valid_from, ...account } = found;
  await renewPassword(platform, { accountId: account.id }, password, found.password_hash);
  const epoch = epochOf(sessions_valid_from);
  const from = { account, epoch };
  const subject = core ? from : await destinationOf(platform, from, ["pwd"]);
  const signedIn = await signIn(setting, subject);
  const where = "tenant" in subject ? subject.tenant : undefined;
  await note(setting, { tenant: where, person: signedIn.user });
  return signedIn;
}

const canonical = (by: Credentials["by"], name: string): string =>
  by === "email"
    ? (findCanonicalEmail(name) ?? nobody.name)
    : normalised(name.trim()).toLowerCase();

const reasonFor = (found: object | undefined, hash: string | null | undefined): string => {
  if (!found) return "unknown_user";
  return hash ? "invalid_password" : "no_password";
};

async function note({ audit, log }: Setting, { tenant, person }: Attempt): Promise<void> {
  log.info({ user_id: person?.id, tenant_id: tenant?.id }, "User logged in successfully");
  const actor = actorOf({ tenant, person });
  await audit({ action: "auth.logged_in", tenant: tenant ?? null, actor });
}

async function refuse({ audit, log }: Setting, attempt: Attempt, reason: string) {
  log.warn({ reason, user_id: attempt.person?.id }, "Failed login attempt");
  const tenant = attempt.tenant ?? null;
  const [outcome, actor, detail] = ["failed" as const, actorOf(attempt), { reason }];
  await audit({ action: "auth.login_failed", outcome, tenant, actor, detail });
  return invalidCredentials();
}

/** What was typed where nobody has that name is not written: it may be a password. */
const actorOf = ({ tenant, person }: Attempt): AuditActor =>
  person
    ? { kind: tenant ? "user" : "account", id: person.id, name: person.email }
    : { kind: "anonymous" };
