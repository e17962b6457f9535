/**
 * Composes authentication and authorisation: keys, tokens, sessions, passwords, caches of
 * principals.
 */
import { findAccountStanding } from "../features/accounts/accounts.feature.ts";
import { type ApiKeyTables, noteUse } from "../features/api-keys/api-keys.feature.ts";
import { findStanding } from "../features/users/users.feature.ts";
import type { Announcements } from "../kernel/announcements/announcements.ts";
import { keepCurrent } from "../kernel/announcements/snapshot.ts";
import type { IdentityServices } from "../kernel/feature/capabilities.ts";
import { createApiKeyUse } from "../kernel/identity/api-key-use.ts";
import { type Authenticate, createAuthentication } from "../kernel/identity/authentication.ts";
import { createAuthority } from "../kernel/identity/authority.ts";
import { createClientCertificates } from "../kernel/identity/client-certificates.ts";
import { createCookieSessions } from "../kernel/identity/cookie-sessions.ts";
import { createEndedSessions } from "../kernel/identity/ended-sessions.ts";
import { createFactors } from "../kernel/identity/factors/factors.ts";
import { createOidcClient } from "../kernel/identity/oidc.ts";
import { createOneTimeTokens } from "../kernel/identity/one-time-tokens.ts";
import { createPasswords, hashesAtATime } from "../kernel/identity/passwords.ts";
import { createPermissions } from "../kernel/identity/permissions.ts";
import { createRefreshTokens } from "../kernel/identity/refresh-tokens.ts";
import { createSessionCookies } from "../kernel/identity/session-cookie.ts";
import { createSessions } from "../kernel/identity/sessions.ts";
import {
  loadSigningKeys,
  type SigningKeys,
  secretSigningKeys,
  signingKeySealer,
} from "../kernel/identity/signing-keys.ts";
import { createTokens } from "../kernel/identity/tokens.ts";
import { shareOf } from "../kernel/lib/worker-share.ts";
import type { Outbound } from "../kernel/net/outbound.ts";
import { moduleLog } from "../kernel/telemetry/log.ts";
import type { Installation } from "./installation.ts";

export interface ComposedIdentity {
  readonly services: Omit<IdentityServices, "forgetUser">;
  readonly authenticate: Authenticate;
  close(): Promise<void>;
}

export async function composeIdentity(
  installation: Installation,
  { follow }: Announcements,
  outbound: Outbound,
): Promise<ComposedIdentity> {
  const { config, control, features, secrets, databaseOf } = installation;
  const log = moduleLog(installation.log, "auth");
  const permissions = createPermissions(features);
  const authority = createAuthority({
    loadUser: (tenant, id) => findStanding(databaseOf(tenant), id),
    loadAccount: (id) => findAccountStanding(control, id),
    permissionsOf: permissions.of,
    follow,
    max: config.cachedTenants,
  });
  const tokens = createTokens({
    signing: await loadKeys(installation),
    followKeys: (replace) =>
      keepCurrent({
        load: async () => replace(await loadKeys(installation)),
        follow: (stale) => follow({ keys: stale, anything: stale }),
      }).ready,
    issuer: () => config.baseUrl,
    audience: "insulae",
    accessTtlSeconds: config.accessTokenSeconds,
    maxVerified: config.cachedTenants,
  });
  const endedSessions = createEndedSessions({
    control,
    accessTtlSeconds: config.accessTokenSeconds,
    follow,
  });
  const cookieSessions = createCookieSessions({
    control,
    cookies: createSessionCookies(secrets),
    idleSeconds: config.sessionIdleHours * 3600,
    maxSeconds: config.refreshTokenDays * 86_400,
    log,
  });
  const apiKeyUse = createApiKeyUse({
    write: (tenant, usedAt) => noteUse(databaseOf<ApiKeyTables>(tenant), usedAt),
    log,
  });
  return {
    services: {
      permissions,
      authority,
      tokens,
      cookieSessions,
      sessions: createSessions({
        control,
        refreshTokens: createRefreshTokens(secrets),
        refreshTtlSeconds: config.refreshTokenDays * 86_400,
        accessTtlSeconds: config.accessTokenSeconds,
        onEnded: endedSessions.add,
      }),
      clientCertificates: createClientCertificates({ control, authority, follow }),
      passwords: createPasswords({
        metrics: installation.metrics,
        concurrency: shareOf(hashesAtATime(), config.workers),
        algorithm: config.passwordAlgorithm,
        bcryptCost: config.bcryptCost,
        ...config.argon2,
      }),
      factors: createFactors(control, secrets),
      oidc: createOidcClient({ outbound, secrets, allowInsecure: config.env !== "production" }),
      oneTimeTokens: createOneTimeTokens(control),
    },
    authenticate: createAuthentication({
      verifyToken: tokens.verify,
      cookieSessions,
      authority,
      isEnded: endedSessions.has,
      onApiKeyUsed: apiKeyUse.note,
    }),
    close: () => apiKeyUse.close(),
  };
}

const loadKeys = ({ config, control, secrets }: Installation): Promise<SigningKeys> =>
  config.jwtSecret
    ? secretSigningKeys(config.jwtSecret)
    : loadSigningKeys(control, signingKeySealer(secrets));
