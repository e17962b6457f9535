/**
 * Access tokens: JWTs (RFC 7519) that are valid in one context only, the core or one tenant.
 *
 * A signature is checked once per token, at some 100 µs; after that the token is known by its text
 * until it expires, and an ordinary request pays a look-up. What the cache may hold is bounded, and
 * it is emptied when the keys change. What a token says about role and permissions is for clients
 * to show: what somebody may do is asked of `authority.ts`, which knows the present.
 */
import { randomUUID } from "node:crypto";
import { type CompactJWSHeaderParameters, type JWK, jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import type { AccountId, TenantId, UserId } from "../lib/ids.ts";
import { isUuid } from "../lib/uuid.ts";
import { type Amr, isAmr } from "../model/authentication-methods.ts";
import type { TokenCredential } from "./credential.ts";
import { invalidToken } from "./errors.ts";
import { acceptedKeys, type SigningKey, type SigningKeys, signingKeyOf } from "./signing-keys.ts";

/** Whom a token is for: a user of a tenant, or an account in the core. */
export type TokenSubject =
  | {
      readonly userId: UserId;
      readonly tenantId: TenantId;
      readonly role: string;
      readonly permissions: Iterable<string>;
      readonly shown?: ShownNames | undefined;
    }
  | { readonly accountId: AccountId; readonly isOwner: boolean };

/**
 * Names for clients that decode a token and show what they find: `user`, and the tenant's key in the
 * place of its id as `tenant_id`. The id is then the claim `tid`, the only one of them that is read
 * when the token comes back.
 */
export interface ShownNames {
  readonly user: string;
  readonly tenantKey: string;
}

/** The session that a token comes from. */
export interface TokenSession {
  readonly id: string;
  /** The subject's epoch when the session began; see `authority.ts`. */
  readonly epoch: string;
  /** When the session ends at the latest; the token doesn't outlive it. */
  readonly expiresAt?: Date;
  /** The platform administrator who acts as the subject (RFC 8693, section 4.1). */
  readonly impersonator?: AccountId | undefined;
  /** How the subject proved who they are (RFC 8176). */
  readonly amr?: Amr;
  /** The token is for a tenant, the session the account's at the platform; see `TenantToken`. */
  readonly isAtPlatform?: boolean;
}

/** What a token says. */
export interface Claims extends TokenCredential {
  /** The user's id where `tenantId` says in which tenant, otherwise the account's. */
  readonly subject: string;
  readonly tenantId: TenantId | undefined;
  readonly tokenId: string;
  /** The epoch that the session began in. */
  readonly epoch: string;
}

export interface Tokens {
  readonly accessTtlSeconds: number;
  sign(subject: TokenSubject, session: TokenSession): Promise<string>;
  /**
   * The claims, at once if the token was seen before.
   *
   * @throws invalidToken (or the promise rejects with it)
   */
  verify(token: string): Claims | Promise<Claims>;
  /** The public keys, for `/.well-known/jwks.json` (RFC 7517). */
  jwks(): Promise<{ readonly keys: readonly JWK[] }>;
}

export interface TokensOptions {
  readonly signing: SigningKeys;
  /**
   * Where this app is reached, which may be known only once it listens: until then it is where it would be by
   * its configuration. What was signed then counts as well.
   */
  readonly issuer: () => string;
  readonly audience: string;
  readonly accessTtlSeconds: number;
  /**
   * Keeps the keys current: from each `replace` on only its keys count.
   *
   * @returns a function that gives a promise while the keys may be old; it resolves after `replace` was called.
   */
  readonly followKeys?: (
    replace: (signing: SigningKeys) => void,
  ) => () => Promise<void> | undefined;
  /** How many tokens are remembered as verified. */
  readonly maxVerified?: number;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

/** Of a token that names fifty permissions, in characters; those that are remembered are no longer on average. */
const usualLength = 1_600;

/**
 * Signs and verifies access tokens.
 *
 * @example
 * const tokens = createTokens({ signing, issuer: () => "https://api.example.com", audience: "insulae", accessTtlSeconds: 900 });
 * const token = await tokens.sign({ accountId, isOwner: true });
 * const { subject } = await tokens.verify(token);
 */
export function createTokens(options: TokensOptions): Tokens {
  const { issuer, audience, accessTtlSeconds, clock = Date.now } = options;
  const { followKeys = () => () => undefined, maxVerified = 50_000 } = options;
  // By signature, which is a tenth of the token: hashing the whole of it cost 3 µs a request. It names
  // the token, but proves nothing until the token is compared.
  const verified = new LRUCache<string, Verified>({
    max: maxVerified,
    // A token is as long as its permissions are many.
    maxSize: maxVerified * usualLength,
    sizeCalculation: ({ token }) => token.length,
  });
  const firstIssuer = issuer();
  let signing = options.signing;
  const keysReady = followKeys((keys) => {
    signing = keys;
    verified.clear();
  });

  const check = async (token: string): Promise<Claims> => {
    if (!hasOneSpelling(token)) throw invalidToken();
    const keys = signing;
    const found: { key?: SigningKey } = {};
    const keyOf = (header: CompactJWSHeaderParameters) => {
      found.key = keyFor(acceptedKeys(keys, clock()), header);
      return found.key.publicKey;
    };
    const { payload } = await jwtVerify(token, keyOf, {
      algorithms: ["EdDSA", "HS256"], // keyFor() wants exactly the key's own
      issuer: [firstIssuer, issuer()],
      audience,
      typ: "JWT",
      currentDate: new Date(clock()),
    }).catch((error) => {
      throw invalidToken({ cause: error });
    });
    const claims = claimsOf(payload, accessTtlSeconds, found.key?.retiresAt ?? 0);
    if (claims.expiresAt * 1000 <= clock()) throw invalidToken();
    // A key may have been withdrawn while its signature was being checked.
    if (keys !== signing) return check(token);
    verified.set(signatureOf(token), { token, claims });
    return claims;
  };

  const verify = (token: string): Claims | Promise<Claims> => {
    const known = verified.get(signatureOf(token));
    if (known?.token !== token) return check(token);
    if (known.claims.expiresAt * 1000 > clock()) return known.claims;
    verified.delete(signatureOf(token));
    throw invalidToken();
  };

  return {
    accessTtlSeconds,
    async sign(subject, { id: sessionId, epoch, expiresAt, impersonator, amr, isAtPlatform }) {
      await keysReady();
      const { id, algorithm, privateKey } = signingKeyOf(signing, clock());
      const now = Math.floor(clock() / 1000);
      const last = expiresAt ? Math.floor(expiresAt.getTime() / 1000) : Infinity;
      const session = {
        sid: sessionId,
        epoch,
        ...(impersonator && { act: { sub: impersonator } }),
        ...(amr && { amr: [...amr] }),
        ...(isAtPlatform && { core_session: true }),
      };
      return new SignJWT({ ...contextOf(subject), ...session, token_type: "access" })
        .setProtectedHeader({ alg: algorithm, typ: "JWT", ...(id !== undefined && { kid: id }) })
        .setIssuer(issuer())
        .setAudience(audience)
        .setJti(randomUUID())
        .setIssuedAt(now)
        .setExpirationTime(Math.min(now + accessTtlSeconds, last))
        .sign(privateKey);
    },
    verify: (token) => {
      const waiting = keysReady();
      return waiting ? waiting.then(() => verify(token)) : verify(token);
    },
    async jwks() {
      await keysReady();
      return { keys: acceptedKeys(signing, clock()).flatMap((key) => key.publicJwk ?? []) };
    },
  };
}

interface Verified {
  readonly token: string;
  readonly claims: Claims;
}

const signatureOf = (token: string): string => token.slice(token.lastIndexOf(".") + 1);

const contextOf = (subject: TokenSubject) =>
  "tenantId" in subject
    ? {
        sub: subject.userId,
        user_id: subject.userId,
        ...(subject.shown
          ? {
              user: subject.shown.user,
              tenant_id: subject.shown.tenantKey,
              tid: subject.tenantId,
            }
          : { tenant_id: subject.tenantId }),
        role: subject.role,
        permissions: [...subject.permissions],
      }
    : { sub: subject.accountId, user_id: subject.accountId, is_owner: subject.isOwner };

/**
 * Header and payload are signed as text, but the last letter of a signature has spare bits: without
 * this check one token could be sent, and would be remembered, in 16 spellings.
 */
function hasOneSpelling(token: string): boolean {
  const signature = token.slice(token.lastIndexOf(".") + 1);
  return Buffer.from(signature, "base64url").toString("base64url") === signature;
}

/**
 * The key that the header names, if the header is one of ours: it may not bring a key, or say where
 * one is (`jwk`, `jku`, `x5u`, `x5c`), nor choose another algorithm for a key than the key's own.
 */
function keyFor(keys: SigningKeys, header: CompactJWSHeaderParameters): SigningKey {
  const named = keys.find((key) => key.id === header.kid);
  const foreign = Object.keys(header).some((name) => !["alg", "typ", "kid"].includes(name));
  if (!named || foreign || header.alg !== named.algorithm) throw invalidToken();
  return named;
}

const isId = (value: unknown): value is string =>
  typeof value === "string" && isUuid(value) && value === value.toLowerCase();

/**
 * The claims of a payload whose signature was right.
 *
 * No token counts for longer than the present lifetime, whatever it was signed for: that is how long
 * the ended sessions are remembered (`ended-sessions.ts`). Nor does it outlive its key.
 *
 * @throws invalidToken unless it is of the one kind that this server signs as an access token
 */
function claimsOf(payload: object, ttlSeconds: number, keyRetiresAt: number): Claims {
  const raw: Record<string, unknown> = { ...payload };
  const { sub, user_id, tid, tenant_id, role, permissions, is_owner, sid, jti, iss, aud } = raw;
  const { exp, iat, token_type, epoch, act, amr, core_session } = raw;
  const impersonator = act === undefined ? undefined : actorOf(act);
  const inTenant = tid === undefined ? tenant_id : tid; // see `ShownNames`
  const inContext =
    inTenant === undefined
      ? typeof is_owner === "boolean"
      : isId(inTenant) && typeof role === "string" && Array.isArray(permissions);
  if (
    token_type !== "access" ||
    !inContext ||
    !isId(sub) ||
    sub !== user_id ||
    (act !== undefined && impersonator === undefined) ||
    (core_session !== undefined && !(core_session === true && inTenant && isAmr(amr))) ||
    typeof epoch !== "string" ||
    typeof sid !== "string" ||
    typeof jti !== "string" ||
    typeof exp !== "number" ||
    typeof iat !== "number" ||
    // jose also takes lists, of which one is right.
    typeof iss !== "string" ||
    typeof aud !== "string"
  ) {
    throw invalidToken();
  }
  // Only an id of the catalogue gets past the next step, whatever a claim says.
  const tenantId = inTenant as TenantId | undefined;
  return Object.freeze({
    kind: "token",
    subject: sub,
    tenantId,
    sessionId: sid,
    tokenId: jti,
    epoch,
    impersonator,
    tenantToken: core_session === true && isAmr(amr) ? { amr } : undefined,
    issuedAt: iat,
    expiresAt: Math.min(exp, iat + ttlSeconds, keyRetiresAt / 1000),
  });
}

function actorOf(act: unknown): AccountId | undefined {
  const sub = typeof act === "object" && act !== null && "sub" in act ? act.sub : undefined;
  // Only an account of the control plane gets any further, whatever a claim says.
  return isId(sub) ? (sub as AccountId) : undefined;
}
