/**
 * Accepting an invitation, as a new person or with an account. It spans two databases:
 *
 *   1 control  create the account if there is none
 *   2 tenant   lock the invitation, create the user and its roles, delete the invitation
 *   3 control  record the membership, delete the token
 *
 * After a crash following step 1 the account exists: its owner signs in and accepts again. After
 * step 2 the token is still valid; the next attempt finds no invitation but the account's user, and
 * goes on with step 3. Of several concurrent attempts, one completes step 3.
 */
import { type Kysely, sql } from "kysely";
import type { TenantAudit } from "../../kernel/audit/audit.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { refuseTenantToken, type SessionCredential } from "../../kernel/identity/credential.ts";
import type { OneTimeToken } from "../../kernel/identity/one-time-tokens.ts";
import type { Principal } from "../../kernel/identity/principal.ts";
import { subjectOf as subjectOfRow } from "../../kernel/identity/subject.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { validationFailed } from "../../kernel/lib/http-errors.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import {
  type AccountView,
  accountOf,
  createVerifiedAccount,
  emailNotVerified,
  findAccountByEmail,
  findAccountStanding,
  findUserSubject,
  invalidLink,
  type SignedInReply,
  type SignInContext,
  signIn,
  summaryOf,
  switchTo,
} from "../accounts/accounts.feature.ts";
import {
  alreadyMember,
  createLinkedUser,
  findCredentials,
  findPerson,
  findStanding,
  findUserOfAccount,
  noteMembership,
  refuseRole,
} from "../users/users.feature.ts";
import {
  type Db,
  deleteInvitation,
  findInvitation,
  findView,
  giveRoles,
  type InvitationRow,
  type InvitationTables,
  lockInvitation,
} from "./invitations.queries.ts";
import { invitationPurpose, subjectOf } from "./mails.ts";

export const accountWaits = defineError(
  "account_exists",
  409,
  "An account has this e-mail address. Sign in with it, then accept.",
);
export const invitationForAnother = defineError(
  "invitation_for_another",
  403,
  "This invitation was sent to a different e-mail address. Sign in with the account that has that address.",
);
export const invitationLapsed = defineError(
  "invitation_lapsed",
  403,
  "The sender of this invitation may no longer grant what it grants. Ask for another.",
);

interface AcceptDeps extends SignInContext {
  readonly audit: TenantAudit;
}

/** The caller, if they are signed in. */
interface Caller {
  readonly user: Principal;
  readonly credential: SessionCredential;
}

interface Acceptance {
  readonly token?: string;
  readonly invitation_id?: string;
  readonly password?: string;
  readonly first_name?: string;
  readonly last_name?: string;
}

/** The invitation that a token, or a waiting row, stands for. */
interface Held {
  readonly id: string;
  readonly tenant: Tenant;
  readonly email: string;
  readonly sending: string;
}

/**
 * @param known the tenant of the request; other tenants' invitations are invalid there. @throws
 * invalidLink
 */
export async function previewInvitation(
  platform: Platform,
  known: Tenant | undefined,
  token: string,
) {
  const held = await heldBy(platform, await platform.oneTimeTokens.find(invitationPurpose, token));
  if (!held || (known && known.id !== held.tenant.id)) throw invalidLink();
  const shown = await show(platform, held);
  if (!shown) throw invalidLink();
  const account = await findAccountByEmail(platform.control, held.email);
  return { ...shown, email: held.email, has_account: account !== undefined };
}

/** The open invitations to an account's e-mail, which must be verified. */
export async function listWaiting(
  platform: Platform,
  { email }: Pick<AccountView, "email">,
): Promise<NonNullable<Awaited<ReturnType<typeof show>>>[]> {
  const found = await selectTokens(platform, email).limit(100).execute();
  const shown: NonNullable<Awaited<ReturnType<typeof show>>>[] = [];
  for (const row of found) {
    const held = await heldBy(platform, { subject: subjectOfRow(row), detail: row.detail });
    const invitation = held && (await show(platform, held));
    if (invitation) shown.push(invitation);
  }
  return shown;
}

/**
 * @param known the tenant of the request; if only the caller's token names it, the invitation may
 * be
 *   another tenant's
 * @throws invalidLink, accountWaits, invitationForAnother, emailNotVerified, invitationLapsed,
 *   alreadyMember, weakPassword, passwordsBusy, tenantTokenRefused
 */
export async function acceptInvitation(
  deps: AcceptDeps,
  known: Tenant | undefined,
  caller: Caller | undefined,
  { token, invitation_id: id, ...person }: Acceptance,
): Promise<SignedInReply> {
  const { platform } = deps;
  if (caller) refuseTenantToken(caller.credential);
  const account = caller && (await accountOf(platform, caller.user)).account;
  const held =
    token !== undefined
      ? await heldBy(platform, await platform.oneTimeTokens.find(invitationPurpose, token))
      : id !== undefined && account?.email_verified
        ? await findWaiting(platform, account, id)
        : undefined;
  if (!held) throw invalidLink();
  if (known && caller?.user.kind !== "tenant" && known.id !== held.tenant.id) throw invalidLink();
  if (account && account.email !== held.email) throw invitationForAnother();
  if (account && !account.email_verified) throw emailNotVerified();
  const joining = account ?? (await register(platform, held, person));
  const userId = await join(deps, held, joining);
  if (caller) {
    const { user, credential } = caller;
    return switchTo(deps, user, credential, held.tenant.id, { invited: true });
  }
  const subject = await findUserSubject(platform, held.tenant, userId);
  if (!subject) throw invalidLink();
  return signIn(deps, subject);
}

/** Step 1, for a new person. Having the token proves that they received the e-mail. */
async function register(
  platform: Platform,
  { tenant, id, email, sending }: Held,
  { password, first_name, last_name }: Omit<Acceptance, "token" | "invitation_id">,
): Promise<AccountView> {
  if (await findAccountByEmail(platform.control, email)) throw accountWaits();
  // Don't create an account for an invalid invitation.
  await platform.withTenant<InvitationTables, void>(tenant, async ({ db }) => {
    const invitation = await findInvitation(db, id);
    if (!invitation || !isGood(invitation, sending)) throw invalidLink();
    await refuseLapsed(platform, db, invitation);
  });
  if (password === undefined) {
    const message = "choose a password, or sign in first if you have an account";
    throw validationFailed({ errors: [{ pointer: "/body/password", message }] });
  }
  const made = await createVerifiedAccount(platform, { email, password, first_name, last_name });
  if (!made) throw accountWaits();
  return made;
}

/** Steps 2 and 3. */
async function join(
  { platform, audit }: AcceptDeps,
  { tenant, id, sending }: Held,
  account: AccountView,
): Promise<UserId> {
  const { control, oneTimeTokens, withTenant } = platform;
  const person = await findPerson(control, account.id);
  const { userId, invitation } = await withTenant<InvitationTables, Joined>(
    tenant,
    ({ db, events }) =>
      db.transaction().execute(async (tx) => {
        const found = await lockInvitation(tx, id);
        const users = tx.$pickTables<"users">();
        const existing = await findUserOfAccount(users, account.id);
        if (!found && existing) return { userId: existing.id, invitation: undefined };
        if (!found || !isGood(found, sending) || found.email !== person.email) throw invalidLink();
        if (existing || (await findCredentials(users, "email", person.email)))
          throw alreadyMember();
        await refuseLapsed(platform, tx, found);
        const made = await createLinkedUser(users, person, found.role);
        if (found.role_ids.length > 0) await giveRoles(tx, made.id, found.role_ids);
        await deleteInvitation(tx, id);
        await events.record("user.created", made, tx);
        return { userId: made.id, invitation: found };
      }),
  );
  const joined = await control.transaction().execute(async (tx) => {
    await oneTimeTokens.revoke(invitationPurpose, subjectOf(tenant.id, id), tx);
    return noteMembership(tx, { accountId: account.id, tenantId: tenant.id, userId });
  });
  if (!joined) throw alreadyMember();
  await audit({
    action: "invitation.accepted",
    tenant,
    actor: { kind: "account", id: account.id, name: account.email },
    target: { type: "user", id: userId },
    detail: { invitation_id: id, role: invitation?.role, sent_by: invitation?.sent_by },
  });
  return userId;
}

interface Joined {
  readonly userId: UserId;
  /** Undefined if an earlier attempt already created the user. */
  readonly invitation: InvitationRow | undefined;
}

/** Whether the token is from the latest link and has not expired. */
const isGood = ({ sendings, expired }: InvitationRow, sending: string): boolean =>
  !expired && String(sendings) === sending;

/**
 * Refuses grants that the sender may no longer make, because they were demoted, deactivated or
 * deleted.
 */
async function refuseLapsed(
  { control, permissions }: Platform,
  db: Db,
  { sent_by: sentBy, role, added }: InvitationRow,
): Promise<void> {
  const sender = sentBy && (await findStanding(db.$pickTables<"users">(), sentBy));
  if (!sender) throw invitationLapsed();
  if (sender.accountId && !(await findAccountStanding(control, sender.accountId))) {
    throw invitationLapsed();
  }
  const user = { role: sender.role, permissions: permissions.of(sender.role, sender.added) };
  if (!user.permissions.has("users:write")) throw invitationLapsed();
  try {
    refuseRole({ permissions, user }, role, added);
  } catch (error) {
    throw invitationLapsed({ cause: error });
  }
}

/** The invitation as shown to the invited person; undefined if it is invalid. */
async function show({ withTenant }: Platform, { tenant, id, sending }: Held) {
  const found = await withTenant<InvitationTables, Shown | undefined>(tenant, async ({ db }) => {
    const invitation = await findInvitation(db, id);
    return invitation && isGood(invitation, sending) ? findView(db, id) : undefined;
  });
  if (!found) return undefined;
  const { role, roles, expires_at } = found;
  return { id, tenant: summaryOf(tenant), role, roles, expires_at };
}

type Shown = Awaited<ReturnType<typeof findView>>;

async function heldBy({ tenants }: Platform, found: OneTimeToken | undefined) {
  if (!found?.subject.tenantId) return undefined;
  const tenant = await tenants.find(found.subject.tenantId);
  if (tenant?.status !== "active") return undefined;
  const { email = "", sending = "" } = found.detail;
  return { id: found.subject.id, tenant, email, sending };
}

/** An open invitation to the account's e-mail, by its id. */
async function findWaiting(platform: Platform, { email }: AccountView, id: string) {
  const row = await selectTokens(platform, email).where("subject_id", "=", id).executeTakeFirst();
  return row && heldBy(platform, { subject: subjectOfRow(row), detail: row.detail });
}

const selectTokens = ({ control }: { readonly control: Kysely<ControlTables> }, email: string) =>
  control
    .selectFrom("control.one_time_tokens")
    .select(["tenant_id", "subject_id", "detail"])
    .where("purpose", "=", invitationPurpose)
    .where(sql<string>`detail ->> 'email'`, "=", email)
    .where("expires_at", ">", sql<Date>`now()`)
    .orderBy("id");
