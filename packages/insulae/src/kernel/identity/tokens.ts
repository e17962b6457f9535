/**
 * Access tokens: JWTs (RFC 7519), valid in one context only: the core, or one tenant.
 *
 * A signature is verified once per token, at some 100 µs; then the token is cached by its text
 * until it expires. The cache is bounded, and cleared when the keys change. Role and permissions in
 * a token are for clients to display; `authority.ts` decides what somebody may currently do.
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

/** The subject of a token: a tenant's user, or an account in the core. */
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
 * Names for clients that decode the token: `user`, and the tenant's key as `tenant_id`. The id is
 * then in the claim `tid`, the only one of them that the server reads.
 */
export interface ShownNames {
  readonly user: string;
  readonly tenantKey: string;
}

/** The session that a token belongs to. */
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

export interface Claims extends TokenCredential {
  /** The user's id if `tenantId` is set, otherwise the account's. */
  readonly subject: string;
  readonly tenantId: TenantId | undefined;
  readonly tokenId: string;
  /** The epoch in which the session began. */
  readonly epoch: string;
}

export interface Tokens {
  readonly accessTtlSeconds: number;
  sign(subject: TokenSubject, session: TokenSession): Promise<string>;
  /**
   * The claims; synchronous if the token is cached.
   *
   * @throws invalidToken (or rejects with it)
   */
  verify(token: string): Claims | Promise<Claims>;
  /** The public keys, for `/.well-known/jwks.json` (RFC 7517). */
  jwks(): Promise<{ readonly keys: readonly JWK[] }>;
}

export interface TokensOptions {
  readonly signing: SigningKeys;
  /**
   * The server's URL. Before it listens, the URL according to the configuration; tokens signed with
   * that remain valid.
   */
  readonly issuer: () => string;
  readonly audience: string;
  readonly accessTtlSeconds: number;
  /**
   * Keeps the keys current: after each `replace`, only its keys are valid.
   *
   * @returns a function that returns a promise while the keys may be stale; it resolves after
   * `replace`
   */
  readonly followKeys?: (
    replace: (signing: SigningKeys) => void,
  ) => () => Promise<void> | undefined;
  /** The maximum of cached tokens. */
  readonly maxVerified?: number;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

/** The length in characters of a token with fifty permissions; the cache's average at most. */
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
  // By signature, a tenth of the token: hashing the whole cost 3 µs per request. The key proves
  // nothing until the whole token is compared.
  const verified = new LRUCache<string, Verified>({
    max: maxVerified,
    // Tokens grow with their number of permissions.
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
      algorithms: ["EdDSA", "HS256"], // keyFor() requires exactly the key's own
      issuer: [firstIssuer, issuer()],
      audience,
      typ: "JWT",
      currentDate: new Date(clock()),
    }).catch((error) => {
      throw invalidToken({ cause: error });
    });
    const claims = claimsOf(payload, accessTtlSeconds, found.key?.retiresAt ?? 0);
    if (claims.expiresAt * 1000 <= clock()) throw invalidToken();
    // A key may have been retired while its signature was being verified.
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
 * Header and payload are signed as text, but the last character of a signature has spare bits:
 * without this check one token could be sent, and cached, in 16 encodings.
 */
function hasOneSpelling(token: string): boolean {
  const signature = token.slice(token.lastIndexOf(".") + 1);
  return Buffer.from(signature, "base64url").toString("base64url") === signature;
}

/**
 * The key that the header names. The header must be one of ours: it may not contain a key, or a
 * reference to one (`jwk`, `jku`, `x5u`, `x5c`), nor choose another algorithm than the key's own.
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
 * The claims of a payload whose signature is valid.
 *
 * No token is accepted beyond the current lifetime, whatever it was signed for: ended sessions are
 * remembered only that long (`ended-sessions.ts`). Nor does it outlive its key.
 *
 * @throws invalidToken unless it is an access token signed by this server
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
    // jose also accepts lists, of which one has to match.
    typeof iss !== "string" ||
    typeof aud !== "string"
  ) {
    throw invalidToken();
  }
  // the next step accepts only ids in the catalogue
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
  // the next step accepts only accounts in the control plane
  return isId(sub) ? (sub as AccountId) : undefined;
}
