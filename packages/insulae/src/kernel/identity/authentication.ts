/**
 * Finds a request's credential and verifies it. Each kind of credential has one branch in
 * `authenticate`, which returns a `Proof`; later steps need nothing else.
 */
import { timingSafeEqual } from "node:crypto";
import { cookieIn, doubled } from "../lib/cookies.ts";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import { chain, type MaybePromise } from "../lib/maybe-promise.ts";
import { hasSecondFactor } from "../model/authentication-methods.ts";
import type { Tenant } from "../model/tenant.ts";
import { looksLikeApiKey, parseApiKey } from "./api-key.ts";
import type { Authority } from "./authority.ts";
import { type CookieSession, type CookieSessions, sessionCookie } from "./cookie-sessions.ts";
import type { Credential } from "./credential.ts";
import { csrfRefused, invalidToken } from "./errors.ts";
import type { Principal } from "./principal.ts";
import type { Claims } from "./tokens.ts";

/** The credentials in a request, not yet verified. */
export interface PresentedCredentials {
  /**
   * A bearer credential without `Bearer`: an access token or an API key. If present, the cookie is
   * ignored, even if the token is invalid.
   */
  readonly token: string | undefined;
  /** The header `Cookie`. */
  readonly cookies: string | undefined;
  /** The header `X-CSRF-Token`. */
  readonly csrfToken: string | undefined;
  /** Whether the request may change something; then a cookie alone does not suffice. */
  readonly changes: boolean;
  /** The claims of a redeemed one-time ticket; as good as a token with them. */
  readonly redeemed?: Claims | undefined;
  /**
   * A background re-check (an open WebSocket), not user activity: don't extend the cookie session.
   */
  readonly unattended?: boolean;
}

/** A genuine credential. `findPrincipal` decides whether its holder may still use it. */
export interface Proof {
  readonly credential: Credential;
  /** The one context where it is valid: this tenant, or (undefined) the core. */
  readonly tenantId: TenantId | undefined;
  /** Whose it is, for the log. */
  readonly subject: string;
  /** The current principal; undefined if they no longer exist or it was revoked. */
  readonly findPrincipal: (tenant: Tenant | undefined) => MaybePromise<Principal | undefined>;
}

/**
 * Verifies the request's credentials; undefined if there are none.
 *
 * @throws invalidToken (or rejects with it) if they are invalid
 */
export type Authenticate = (presented: PresentedCredentials) => MaybePromise<Proof | undefined>;

export interface AuthenticationOptions {
  readonly verifyToken: (token: string) => MaybePromise<Claims>;
  readonly cookieSessions: Pick<CookieSessions, "find" | "csrfToken">;
  readonly authority: Pick<Authority, "findUser" | "findAccount" | "findUserOfKey">;
  /** Whether the session has ended. */
  readonly isEnded: (sessionId: string) => MaybePromise<boolean>;
  /** Called for each request with an API key. */
  readonly onApiKeyUsed: (tenant: Tenant, keyId: string) => void;
}

export function createAuthentication(options: AuthenticationOptions): Authenticate {
  const { verifyToken, cookieSessions, authority, isEnded, onApiKeyUsed } = options;

  const whoIs = (
    claims: Pick<Claims, "subject">,
    tenant: Tenant | undefined,
  ): MaybePromise<Principal | undefined> =>
    // The signed claim, or the session's row, says which of the two it is; the authority, whether
    // it exists.
    tenant
      ? authority.findUser(tenant, claims.subject as UserId)
      : authority.findAccount(claims.subject as AccountId);

  /** Impersonation requires that the administrator still is one. */
  const impersonates = (claims: Claims): MaybePromise<boolean> =>
    claims.impersonator === undefined
      ? true
      : chain(authority.findAccount(claims.impersonator), (actor) => actor?.platformAdmin === true);

  const proofOf = (claims: Claims): Proof => ({
    credential: claims,
    tenantId: claims.tenantId,
    subject: claims.subject,
    findPrincipal: (tenant) =>
      chain(whoIs(claims, tenant), (user) =>
        user?.epoch === claims.epoch && isEnough(claims, tenant)
          ? chain(impersonates(claims), (may) => (may ? user : undefined))
          : undefined,
      ),
  });

  const unlessEnded = (sessionId: string, proof: Proof): MaybePromise<Proof> =>
    chain(isEnded(sessionId), (ended) => {
      if (ended) throw invalidToken();
      return proof;
    });

  const byApiKey = (text: string): Proof => {
    const key = parseApiKey(text);
    if (!key) throw invalidToken();
    return {
      credential: { kind: "api_key", keyId: key.id },
      tenantId: key.tenantId,
      subject: key.userId,
      findPrincipal: (tenant) =>
        tenant &&
        chain(authority.findUserOfKey(tenant, key), (user) => {
          if (user) onApiKeyUsed(tenant, key.id);
          return user;
        }),
    };
  };

  const byToken = (token: string): MaybePromise<Proof> =>
    chain(verifyToken(token), (claims) => unlessEnded(claims.sessionId, proofOf(claims)));

  const proofOfCookie = (session: CookieSession): Proof => ({
    credential: {
      kind: "cookie",
      sessionId: session.id,
      issuedAt: session.createdAt.getTime() / 1000,
      expiresAt: session.expiresAt.getTime() / 1000,
      impersonator: undefined,
    },
    tenantId: session.tenantId,
    subject: session.subject,
    findPrincipal: (tenant) =>
      chain(whoIs(session, tenant), (user) => (user?.epoch === session.epoch ? user : undefined)),
  });

  const byRedeemed = (claims: Claims): MaybePromise<Proof> => {
    if (claims.expiresAt * 1000 <= Date.now()) throw invalidToken();
    return unlessEnded(claims.sessionId, proofOf(claims));
  };

  const byCookie = (presented: PresentedCredentials): MaybePromise<Proof | undefined> => {
    const { cookies, csrfToken, changes, unattended = false } = presented;
    const cookie = cookieIn(cookies, sessionCookie);
    if (cookie === undefined) return undefined;
    if (cookie === doubled) throw invalidToken();
    return chain(cookieSessions.find(cookie, unattended), (session) => {
      if (!session) throw invalidToken();
      // Browsers send the cookie whichever page caused the request, but not the CSRF token.
      if (changes && !isSame(csrfToken, cookieSessions.csrfToken(session.id))) throw csrfRefused();
      return unlessEnded(session.id, proofOfCookie(session));
    });
  };

  return (presented) => {
    const { token, redeemed } = presented;
    if (redeemed) return byRedeemed(redeemed);
    if (token === undefined) return byCookie(presented);
    return looksLikeApiKey(token) ? byApiKey(token) : byToken(token);
  };
}

/**
 * Where a tenant begins to require a second factor, the sessions in it that were opened without one end. A
 * tenant token has no session in the tenant, so it is asked here.
 */
const isEnough = ({ tenantToken }: Claims, tenant: Tenant | undefined): boolean =>
  !tenantToken || tenant?.settings.second_factor !== "required" || hasSecondFactor(tenantToken.amr);

function isSame(given: string | undefined, expected: string): boolean {
  const [one, other] = [Buffer.from(given ?? ""), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}
