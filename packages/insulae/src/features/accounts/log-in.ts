/**
 * Log-in by password. With a tenant, one of its users logs in, with their own password or that of
 * their linked account. Without a tenant, an account logs in.
 *
 * Every failure (no such person, no password, wrong password, inactive, e-mail not verified,
 * password log-in off) gives the same response after the same work: the same queries, one hash, and
 * one entry in the tenant's or the platform's audit log.
 */
import type { AuditActor, TenantAudit } from "../../kernel/audit/audit.ts";
import { epochOf } from "../../kernel/identity/authority.ts";
import { invalidCredentials } from "../../kernel/identity/errors.ts";
import type { AccountId, UserId } from "../../kernel/lib/ids.ts";
import { normalised } from "../../kernel/lib/text.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { Logger } from "../../kernel/telemetry/log.ts";
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
  /** As typed by the user. */
  readonly name: string;
  readonly password: string;
}

interface LogInContext extends SignInContext {
  readonly audit: TenantAudit;
  readonly log: Logger;
}

/** Who tries to log in, and where; without a tenant: at the platform. */
interface Attempt {
  readonly tenant: Tenant | undefined;
  readonly person: { readonly id: string; readonly email: string } | undefined;
}

/** An id and a name that match no row, for queries that run only to take the same time. */
const nobody = { id: "00000000-0000-0000-0000-000000000000" as AccountId & UserId, name: "" };

/**
 * Logs in a user of the tenant. Without a tenant, logs in an account: into its tenant if it has
 * exactly one, otherwise at the platform.
 *
 * @param options.core keeps an account at the platform even if it has exactly one tenant
 * @throws invalidCredentials, passwordsBusy
 */
export const logIn = (
  context: LogInContext,
  tenant: Tenant | undefined,
  credentials: Credentials,
  { core = false }: { readonly core?: boolean } = {},
): Promise<SignedInReply> =>
  tenant ? logInUser(context, tenant, credentials) : logInAccount(context, credentials, core);

/** Refuses a log-in at an unknown tenant after as much work as for an unknown user. */
export const refuseLogIn = (context: LogInContext, password: string): Promise<never> =>
  logInAccount(context, { by: "username", name: nobody.name, password }, true).then(() => {
    throw invalidCredentials();
  });

async function logInUser(
  context: LogInContext,
  tenant: Tenant,
  { by, name, password }: Credentials,
): Promise<SignedInReply> {
  const { platform } = context;
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
  if (!found || !right) throw await refuse(context, attempt, reasonFor(found, hash));
  const { password_hash: _hash, account_id: accountId, sessions_valid_from, ...user } = found;
  if (!user.is_active) throw await refuse(context, attempt, "user_inactive");
  if (isVerificationRequired(platform.config, tenant) && !isVerified(user, linked)) {
    throw await refuse(context, attempt, "email_not_verified");
  }
  if (!mayEnterBy(["pwd"], { tenant, user })) {
    throw await refuse(context, attempt, "password_login_off");
  }
  const holder = accountId === null ? { tenant, userId: user.id } : { accountId };
  await renewPassword(platform, holder, password, hash);
  const epoch = linked
    ? epochOf(sessions_valid_from, linked.sessions_valid_from)
    : epochOf(sessions_valid_from);
  const signedIn = await signIn(context, { tenant, user, accountId, epoch });
  await note(context, { tenant, person: user });
  return signedIn;
}

async function logInAccount(
  context: LogInContext,
  { by, name, password }: Credentials,
  core: boolean,
): Promise<SignedInReply> {
  const { platform } = context;
  // Accounts have no usernames. Query for one all the same, so that the refusal takes as long.
  const email = by === "email" ? canonical(by, name) : nobody.name;
  const found = await findAccount(platform.control, "email", email);
  const right = await platform.passwords.verify(password, found?.password_hash);
  const attempt = { tenant: undefined, person: found };
  if (!found || !right) {
    throw await refuse(context, attempt, reasonFor(found, found?.password_hash));
  }
  if (!found.is_active) throw await refuse(context, attempt, "user_inactive");
  if (isVerificationRequired(platform.config, undefined) && !found.email_verified) {
    throw await refuse(context, attempt, "email_not_verified");
  }
  const { password_hash: _hash, sessions_valid_from, ...account } = found;
  await renewPassword(platform, { accountId: account.id }, password, found.password_hash);
  const epoch = epochOf(sessions_valid_from);
  const from = { account, epoch };
  const subject = core ? from : await destinationOf(platform, from, ["pwd"]);
  const signedIn = await signIn(context, subject);
  const where = "tenant" in subject ? subject.tenant : undefined;
  await note(context, { tenant: where, person: signedIn.user });
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

async function note({ audit, log }: LogInContext, { tenant, person }: Attempt): Promise<void> {
  log.info({ user_id: person?.id, tenant_id: tenant?.id }, "User logged in successfully");
  const actor = actorOf({ tenant, person });
  await audit({ action: "auth.logged_in", tenant: tenant ?? null, actor });
}

async function refuse({ audit, log }: LogInContext, attempt: Attempt, reason: string) {
  log.warn({ reason, user_id: attempt.person?.id }, "Failed login attempt");
  const tenant = attempt.tenant ?? null;
  const [outcome, actor, detail] = ["failed" as const, actorOf(attempt), { reason }];
  await audit({ action: "auth.login_failed", outcome, tenant, actor, detail });
  return invalidCredentials();
}

/** Don't log a name that matches nobody: it may be a password typed into the wrong field. */
const actorOf = ({ tenant, person }: Attempt): AuditActor =>
  person
    ? { kind: tenant ? "user" : "account", id: person.id, name: person.email }
    : { kind: "anonymous" };
