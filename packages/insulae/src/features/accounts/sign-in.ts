/**
 * The one way in. Whatever somebody proved who they are by (a password, a registration, a switch),
 * it ends in `signIn`, which makes their session and what they are given: tokens for one context,
 * and a look around.
 *
 * A `Subject` is who they are *together with* their epoch. It has to be read before (or with) what
 * they prove: should they be logged out everywhere or change the password meanwhile, the session
 * that is made here belongs to an epoch that is over, and is no good from the start.
 */

import type { Static } from "typebox";
import type { RequestInfo } from "../../kernel/feature/feature.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { epochOf, isOfAccount } from "../../kernel/identity/authority.ts";
import { sessionCookie } from "../../kernel/identity/cookie-sessions.ts";
import type { SessionKind } from "../../kernel/identity/credential.ts";
import { invalidCredentials } from "../../kernel/identity/errors.ts";
import type { Amr } from "../../kernel/identity/factors/methods.ts";
import type { Session } from "../../kernel/identity/sessions.ts";
import type { Subject as Id } from "../../kernel/identity/subject.ts";
import { cookieIn, setCookie } from "../../kernel/lib/cookies.ts";
import type { AccountId, Tenant, UserId } from "../../kernel/tenancy/tenant.ts";
import {
  findSignInUser,
  isVerificationRequired,
  isVerified,
  type UserTables,
  type UserView,
} from "../users/users.feature.ts";
import {
  type AccountView,
  findAccount,
  findLinkedAccount,
  listMemberships,
} from "./accounts.queries.ts";
import type { SignedIn } from "./accounts.schemas.ts";
import { tellIfNew } from "./new-sign-in.ts";
import { passGate } from "./second-factor.ts";
import type { AccountSubject, SignInContext, Subject, UserSubject } from "./sign-in-subject.ts";

// Times are dates here and text on the wire.
export type SignedInReply = Omit<Static<typeof SignedIn>, "user"> & {
  readonly user: UserView | AccountView;
};

export interface SignInOptions {
  /** Default `token`. */
  readonly kind?: SessionKind;
  /**
   * How they have proved who they are; default: by a password, or what counts as much. One who has
   * proved a second factor elsewhere (at an outside provider, in an earlier session) has `mfa` in it.
   */
  readonly amr?: Amr;
  /** When they did, if not just now. */
  readonly provedAt?: Date | undefined;
  /** The platform administrator who acts as the subject; then `amr` is how they have proved it. */
  readonly impersonator?: AccountId;
  /** The session ends then, and there is no refresh token; default: as long as it is refreshed. */
  readonly lifetimeSeconds?: number;
}

/**
 * @throws invalidCredentials for a user who is not active (any more)
 * @throws secondFactorRequired if they, or the tenant, ask for more than they have proved
 */
export async function signIn(
  context: SignInContext,
  subject: Subject,
  options: SignInOptions = {},
): Promise<SignedInReply> {
  const { kind = "token", amr = ["pwd"], provedAt, impersonator, lifetimeSeconds } = options;
  const { platform, request, browser } = context;
  await passGate(context, subject, { amr, impersonator });
  if (browser) return signInBrowser({ platform, request, browser }, subject, { amr, provedAt });
  const session = await platform.sessions.open({
    ...("tenant" in subject
      ? { tenantId: subject.tenant.id, subjectId: subject.user.id }
      : { tenantId: undefined, subjectId: subject.account.id }),
    kind,
    epoch: subject.epoch,
    ...clientOf(request),
    amr,
    provedAt,
    impersonator,
    lifetimeSeconds,
  });
  if (impersonator === undefined) {
    await tellIfNew(platform, subject, { id: session.id, ...clientOf(request) });
  }
  return replyFor(context, subject, session);
}

/** The tokens of somebody who did not ask for a cookie. */
export function bearerOf({ access_token, refresh_token, token_type, expires_in }: SignedInReply) {
  if (access_token === undefined || token_type === undefined) {
    throw new Error("the reply is a browser's, whose session is shown by a cookie");
  }
  return { access_token, refresh_token, token_type, expires_in };
}

/** From where a session is used. */
export const clientOf = ({ ip, headers }: RequestInfo) => ({
  ip,
  userAgent: headers["user-agent"]?.toString(),
});

/**
 * What the subject of a session is given: at sign-in, and each time that it is refreshed.
 *
 * @throws invalidCredentials for a user who is not active (any more)
 */
export async function replyFor(
  { platform, showNames }: Pick<SignInContext, "platform" | "showNames">,
  subject: Subject,
  session: Session,
): Promise<SignedInReply> {
  const { tokens } = platform;
  const { claims, view } = await contextOf(platform, subject, showNames);
  const token = await tokens.sign(claims, session);
  const sessionSeconds = Math.floor((session.expiresAt.getTime() - Date.now()) / 1000);
  return {
    token,
    access_token: token,
    ...(session.refreshToken !== undefined && { refresh_token: session.refreshToken }),
    token_type: "bearer",
    expires_in: Math.min(tokens.accessTtlSeconds, sessionSeconds),
    ...view,
  };
}

/**
 * The same for a browser: its session is shown by a cookie. Each sign-in makes a new one, and the one
 * that the browser had before ends, so nobody can be made to go on in a session that somebody else
 * knows.
 */
async function signInBrowser(
  { platform, request, browser }: Required<Omit<SignInContext, "showNames">>,
  subject: Subject,
  proof: { readonly amr: Amr; readonly provedAt: Date | undefined },
): Promise<SignedInReply> {
  const { cookieSessions } = platform;
  const { view } = await contextOf(platform, subject);
  const { id, cookie } = await cookieSessions.open({
    ...("tenant" in subject
      ? { tenantId: subject.tenant.id, subjectId: subject.user.id }
      : { tenantId: undefined, subjectId: subject.account.id }),
    epoch: subject.epoch,
    ...clientOf(request),
    ...proof,
  });
  await tellIfNew(platform, subject, { id, ...clientOf(request) });
  const before = cookieIn(request.headers.cookie?.toString(), sessionCookie);
  if (typeof before === "string") await cookieSessions.end(before);
  browser?.("set-cookie", setCookie(sessionCookie, cookie, cookieSessions.maxAgeSeconds));
  return {
    csrf_token: cookieSessions.csrfToken(id),
    expires_in: cookieSessions.maxAgeSeconds,
    ...view,
  };
}

/** What a token for the subject says, and what they are shown. */
async function contextOf(platform: Platform, subject: Subject, showNames = false) {
  if ("tenant" in subject) {
    const { tenant, user } = subject;
    const principal = await platform.authority.findUser(tenant, user.id);
    if (!principal) throw invalidCredentials();
    const { role, permissions } = principal;
    return {
      claims: {
        userId: user.id,
        tenantId: tenant.id,
        role,
        permissions,
        shown: showNames ? { user: user.username ?? user.email, tenantKey: tenant.key } : undefined,
      },
      view: { user, tenant: summaryOf(tenant) },
    };
  }
  const { account } = subject;
  const memberships = await listMemberships(platform.control, account.id);
  return {
    claims: { accountId: account.id, isOwner: account.is_owner },
    view: { user: account, tenant: null, tenants: memberships.map(summaryOf) },
  };
}

/**
 * A user as they are now, for signing them in; undefined if there is no such user, or they or the
 * account that they are linked to are not active, or the account is no longer a member.
 */
export async function findUserSubject(
  { control, withTenant }: Platform,
  tenant: Tenant,
  id: UserId,
): Promise<UserSubject | undefined> {
  const found = await withTenant<UserTables, Awaited<ReturnType<typeof findSignInUser>>>(
    tenant,
    ({ db }) => findSignInUser(db, id),
  );
  if (!found?.is_active) return undefined;
  const { account_id: accountId, sessions_valid_from: validFrom, ...user } = found;
  if (accountId === null) return { tenant, user, accountId, epoch: epochOf(validFrom) };
  const linked = await findLinkedAccount(control, accountId, tenant.id, id);
  if (!linked?.is_active) return undefined;
  return { tenant, user, accountId, epoch: epochOf(validFrom, linked.sessions_valid_from) };
}

/** Whether an account may be signed in as a user that it is linked to, as far as e-mails count. */
export const mayEnter = (
  { config }: Pick<Platform, "config">,
  { tenant, user }: UserSubject,
  account: Pick<AccountView, "email" | "email_verified">,
): boolean => !isVerificationRequired(config, tenant) || isVerified(user, account);

/**
 * Whether what they have proved is enough to be signed in as this user. A password is not in a tenant
 * that says `password_login: off`, but for owners, who don't sign in by a tenant's provider.
 */
export const mayEnterBy = (
  amr: Amr,
  { tenant, user }: { readonly tenant: Tenant; readonly user: Pick<UserView, "role"> },
): boolean =>
  tenant.settings.password_login !== "off" || user.role === "owner" || !amr.includes("pwd");

/** An account as it is now, for signing it in; undefined if there is none or it is not active. */
export async function findAccountSubject(
  { control }: Platform,
  id: AccountId,
): Promise<AccountSubject | undefined> {
  const found = await findAccount(control, "id", id);
  if (!found?.is_active) return undefined;
  const { password_hash: _hash, sessions_valid_from: validFrom, ...account } = found;
  return { account, epoch: epochOf(validFrom) };
}

/** Whoever it is, as they are now, for signing them in. */
export async function findSubject(
  platform: Platform,
  { tenantId, id }: Id,
): Promise<Subject | undefined> {
  if (tenantId === null) return findAccountSubject(platform, id);
  const tenant = await platform.tenants.find(tenantId);
  return tenant?.status === "active" ? findUserSubject(platform, tenant, id) : undefined;
}

/**
 * Where an account is signed in that has proved itself so and has not said where: one that is in one tenant, there; one that is
 * in several, or in none, into the core, from where it switches. So is a platform administrator, whose
 * work is there.
 */
export async function destinationOf(
  platform: Platform,
  from: AccountSubject,
  amr: Amr,
): Promise<Subject> {
  const { account, epoch } = from;
  if (account.platform_admin) return from;
  const [only, ...others] = await listMemberships(platform.control, account.id);
  const tenant = only && others.length === 0 ? await platform.tenants.find(only.id) : undefined;
  const user = tenant && only && (await findUserSubject(platform, tenant, only.user_id));
  if (!user || !mayEnter(platform, user, account) || !mayEnterBy(amr, user)) return from;
  // What ends the account's sessions may have happened since the account was read.
  return isOfAccount(user.epoch, epoch) ? user : from;
}

export const summaryOf = ({
  id,
  key,
  slug,
  number,
  name,
}: Pick<Tenant, "id" | "key" | "slug" | "name"> & { readonly number: number | string }) => ({
  id,
  key,
  slug,
  number: Number(number),
  name,
});
