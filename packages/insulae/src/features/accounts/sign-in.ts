/**
 * The single path to a session. Password, registration, identity provider, invitation and tenant
 * switch all end in `signIn`, which opens the session and issues tokens for one context.
 *
 * A `Subject` combines the person with their epoch. Read it before (or together with) verifying
 * their proof: if they log out everywhere or change the password meanwhile, the new session belongs
 * to a past epoch and is invalid from the start.
 */

import type { Static } from "typebox";
import type { RequestInfo } from "../../kernel/feature/feature.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { epochOf, isOfAccount } from "../../kernel/identity/authority.ts";
import { sessionCookie } from "../../kernel/identity/cookie-sessions.ts";
import type { SessionKind } from "../../kernel/identity/credential.ts";
import { invalidCredentials } from "../../kernel/identity/errors.ts";
import type { Session } from "../../kernel/identity/sessions.ts";
import type { Subject as Id } from "../../kernel/identity/subject.ts";
import { cookieIn, setCookie } from "../../kernel/lib/cookies.ts";
import type { AccountId, UserId } from "../../kernel/lib/ids.ts";
import type { Amr } from "../../kernel/model/authentication-methods.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
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
import { notifyIfNew } from "./new-sign-in.ts";
import { enforceSecondFactor } from "./second-factor.ts";
import type { AccountSubject, SignInContext, Subject, UserSubject } from "./sign-in-subject.ts";

// Timestamps are dates here and text in JSON.
export type SignedInReply = Omit<Static<typeof SignedIn>, "user"> & {
  readonly user: UserView | AccountView;
};

export interface SignInOptions {
  /** Default `token`. */
  readonly kind?: SessionKind;
  /**
   * How the person authenticated; default: password or equivalent. Contains `mfa` if they proved a
   * second factor elsewhere (at an identity provider, in an earlier session).
   */
  readonly amr?: Amr;
  /** When they authenticated; default: now. */
  readonly provedAt?: Date | undefined;
  /** The platform administrator impersonating the subject; `amr` is then the administrator's. */
  readonly impersonator?: AccountId;
  /** Ends the session after this time, without a refresh token; default: refreshable. */
  readonly lifetimeSeconds?: number;
}

/**
 * Opens a session for the subject and returns its tokens or sets its cookie.
 *
 * @throws invalidCredentials if the user is no longer active
 * @throws secondFactorRequired if the person or the tenant requires more than `amr` proves
 */
export async function signIn(
  context: SignInContext,
  subject: Subject,
  options: SignInOptions = {},
): Promise<SignedInReply> {
  const { kind = "token", amr = ["pwd"], provedAt, impersonator, lifetimeSeconds } = options;
  const { platform, request, browser } = context;
  await enforceSecondFactor(context, subject, { amr, impersonator });
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
    await notifyIfNew(platform, subject, { id: session.id, ...clientOf(request) });
  }
  return replyFor(context, subject, session);
}

/** The tokens of a reply to a client that did not ask for a cookie. */
export function bearerOf({ access_token, refresh_token, token_type, expires_in }: SignedInReply) {
  if (access_token === undefined || token_type === undefined) {
    throw new Error("this reply has no tokens: the session uses a cookie");
  }
  return { access_token, refresh_token, token_type, expires_in };
}

/** The client's address and user agent, as stored with the session. */
export const clientOf = ({ ip, headers }: RequestInfo) => ({
  ip,
  userAgent: headers["user-agent"]?.toString(),
});

/**
 * The tokens and the view of the subject, at sign-in and on each refresh.
 *
 * @throws invalidCredentials if the user is no longer active
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
 * The same with a session cookie. Each sign-in opens a new session and ends the one that the
 * browser had before, which prevents session fixation.
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
  await notifyIfNew(platform, subject, { id, ...clientOf(request) });
  const before = cookieIn(request.headers.cookie?.toString(), sessionCookie);
  if (typeof before === "string") await cookieSessions.end(before);
  browser?.("set-cookie", setCookie(sessionCookie, cookie, cookieSessions.maxAgeSeconds));
  return {
    csrf_token: cookieSessions.csrfToken(id),
    expires_in: cookieSessions.maxAgeSeconds,
    ...view,
  };
}

/** The token's claims and the view of the subject in the response. */
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
 * The current state of a user, for sign-in; undefined if the user does not exist, if they or their
 * linked account are inactive, or if the account is no longer a member.
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

/** Whether the tenant's e-mail verification rule lets the account in as its linked user. */
export const mayEnter = (
  { config }: Pick<Platform, "config">,
  { tenant, user }: UserSubject,
  account: Pick<AccountView, "email" | "email_verified">,
): boolean => !isVerificationRequired(config, tenant) || isVerified(user, account);

/**
 * Whether this kind of proof lets the user in. A password does not in a tenant with
 * `password_login: off`, except for owners, who don't use the tenant's identity provider.
 */
export const mayEnterBy = (
  amr: Amr,
  { tenant, user }: { readonly tenant: Tenant; readonly user: Pick<UserView, "role"> },
): boolean =>
  tenant.settings.password_login !== "off" || user.role === "owner" || !amr.includes("pwd");

/** The current state of an account, for sign-in; undefined if it does not exist or is inactive. */
export async function findAccountSubject(
  { control }: Platform,
  id: AccountId,
): Promise<AccountSubject | undefined> {
  const found = await findAccount(control, "id", id);
  if (!found?.is_active) return undefined;
  const { password_hash: _hash, sessions_valid_from: validFrom, ...account } = found;
  return { account, epoch: epochOf(validFrom) };
}

/** The current state of a user or account, for sign-in. */
export async function findSubject(
  platform: Platform,
  { tenantId, id }: Id,
): Promise<Subject | undefined> {
  if (tenantId === null) return findAccountSubject(platform, id);
  const tenant = await platform.tenants.find(tenantId);
  return tenant?.status === "active" ? findUserSubject(platform, tenant, id) : undefined;
}

/**
 * Where to sign in an account that named no tenant: into its tenant if it has exactly one and may
 * enter it; otherwise, and for platform administrators, at the platform, where it can switch.
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
  // The account's sessions may have been ended since the account was read.
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
