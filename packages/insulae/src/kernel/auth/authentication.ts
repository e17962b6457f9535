/**
 * Where a request's credential is found, and whose it is. Each kind of credential has one branch in
 * `authenticate`, which gives a `Proof`; what follows (the tenant, the permission) asks nothing else.
 */
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { AccountId, Tenant, TenantId, UserId } from "../tenancy/tenant.ts";
import { looksLikeApiKey, parseApiKey } from "./api-key.ts";
import type { Authority } from "./authority.ts";
import type { Credential } from "./credential.ts";
import { invalidToken } from "./errors.ts";
import type { Principal } from "./principal.ts";
import type { Claims } from "./tokens.ts";

/** What a request shows to prove who calls. */
export interface Shown {
  /** A bearer credential, without `Bearer`: an access token, or an API key. */
  readonly token: string | undefined;
}

/** A credential that is what it says; whether its holder may still use it, `findPrincipal` knows. */
export interface Proof {
  readonly credential: Credential;
  /** The one context that it is good in: this tenant, or (undefined) the core. */
  readonly tenantId: TenantId | undefined;
  /** Whose it is, for the log. */
  readonly subject: string;
  /** Who that is at present; undefined: nobody any more, or it has been revoked. */
  readonly findPrincipal: (tenant: Tenant | undefined) => MaybePromise<Principal | undefined>;
}

/**
 * What the request proves; undefined if it shows nothing.
 *
 * @throws invalidToken (or the promise rejects with it) if what it shows is no good
 */
export type Authenticate = (shown: Shown) => MaybePromise<Proof | undefined>;

export interface AuthenticationOptions {
  readonly verifyToken: (token: string) => MaybePromise<Claims>;
  readonly authority: Pick<Authority, "findUser" | "findAccount" | "findUserOfKey">;
  /** Whether the session has been ended. */
  readonly isEnded: (sessionId: string) => MaybePromise<boolean>;
  /** Hears of each request that an API key makes. */
  readonly onApiKeyUsed: (tenant: Tenant, keyId: string) => void;
}

export function createAuthentication(options: AuthenticationOptions): Authenticate {
  const { verifyToken, authority, isEnded, onApiKeyUsed } = options;

  const whoIs = (
    claims: Claims,
    tenant: Tenant | undefined,
  ): MaybePromise<Principal | undefined> =>
    // The signed claim says which of the two it is; the authority whether there is such a one.
    tenant
      ? authority.findUser(tenant, claims.subject as UserId)
      : authority.findAccount(claims.subject as AccountId);

  /** Acting as somebody else takes an administrator, all the time. */
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
        user?.epoch === claims.epoch
          ? chain(impersonates(claims), (may) => (may ? user : undefined))
          : undefined,
      ),
  });

  const byToken = (token: string): MaybePromise<Proof> =>
    chain(verifyToken(token), (claims) =>
      chain(isEnded(claims.sessionId), (ended) => {
        if (ended) throw invalidToken();
        return proofOf(claims);
      }),
    );

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

  return ({ token }) => {
    if (token !== undefined && looksLikeApiKey(token)) return byApiKey(token);
    // Other places (a cookie) are looked at where there is no bearer.
    return token === undefined ? undefined : byToken(token);
  };
}
