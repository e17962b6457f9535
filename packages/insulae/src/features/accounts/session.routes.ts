import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { sessionCookie } from "../../kernel/identity/cookie-sessions.ts";
import { invalidToken, tenantTokenRefused } from "../../kernel/identity/errors.ts";
import { setCookie } from "../../kernel/lib/cookies.ts";
import { tenantAccessDenied, tenantInactive, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import {
  Refresh,
  SessionView,
  SignedIn,
  Switch,
  TenantToken,
  TenantTokenRequest,
} from "./accounts.schemas.ts";
import { auditSignedIn } from "./audit-signed-in.ts";
import { isEntering, noteEntry } from "./entered-tenants.ts";
import { endAllSessions, endOwnSession, listOwnSessions, sessionNotFound } from "./own-sessions.ts";
import { refresh } from "./refresh.ts";
import { emailNotVerified, noAccount, passwordLoginOff, switchTo } from "./switch.ts";
import { issueTenantToken, secondFactorNeeded } from "./tenant-tokens.ts";

/** Session routes: refresh, switch tenant, log out, list, end. */
export const sessionRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/auth/refresh",
    {
      permission: "public",
      context: "any",
      audit: {
        none: "the log-in that began the session is audited, and so is the reuse of a refresh token",
      },
      summary: "Exchanges a refresh token (single use) for new tokens",
      description:
        "If the response is lost, the same token returns the same successor for ten seconds. A token presented later than that, or after its successor was used, is treated as stolen: the session ends.",
      body: Refresh,
      unknownTenant() {
        throw invalidToken();
      },
      response: SignedIn,
      errors: [invalidToken, tenantInactive, tenantAccessDenied],
    },
    ({ platform, request, audit, tenant, body }) =>
      refresh({ platform, request, audit }, tenant, body.refresh_token),
  ),

  r.post(
    "/auth/switch",
    {
      permission: "authenticated",
      context: "any",
      audit: "auth.switched",
      summary: "Opens a session in another tenant of the same account",
      body: Switch,
      response: SignedIn,
      errors: [
        noAccount,
        emailNotVerified,
        passwordLoginOff,
        tenantNotFound,
        tenantInactive,
        tenantTokenRefused,
      ],
    },
    async ({ platform, request, user, credential, header, body, audit }) => {
      const browser = credential.kind === "cookie" ? header : undefined;
      const context = { platform, request, browser };
      const signedIn = await switchTo(context, user, credential, body.tenant);
      const tenant = signedIn.tenant ? await platform.tenants.get(signedIn.tenant.id) : undefined;
      await auditSignedIn(audit, "auth.switched", signedIn, tenant);
      return signedIn;
    },
  ),

  r.post(
    "/auth/tenant-tokens",
    {
      permission: "authenticated",
      context: "core",
      audit: { none: "entering a tenant is logged, renewing its token is not" },
      summary: "Issues an access token for a tenant that depends on this session",
      description:
        "For a page that shows several tenants at once, each in a tab with a token of its own. Needs a session at the platform. The token ends with that session, at a log-out too, and in any case after `expires_in`: then ask for another. It cannot be refreshed or exchanged, and cannot change the account's password or factors.",
      body: TenantTokenRequest,
      response: TenantToken,
      errors: [
        secondFactorNeeded,
        emailNotVerified,
        passwordLoginOff,
        tenantNotFound,
        tenantInactive,
      ],
    },
    async ({ platform, user, credential, body, audit }) => {
      const { reply, subject } = await issueTenantToken(platform, user, credential, body.tenant);
      const entry = [credential.sessionId, subject.tenant.id] as const;
      if (isEntering(...entry)) {
        await auditSignedIn(audit, "auth.tenant_token_issued", subject, subject.tenant);
        noteEntry(...entry);
      }
      return reply;
    },
  ),

  r.post(
    "/auth/logout",
    {
      permission: "authenticated",
      context: "any",
      personal: false,
      audit: "auth.logged_out",
      summary: "Ends the session and revokes its access tokens, cookie and refresh token",
      description:
        "With a tenant token (`POST /auth/tenant-tokens`) it ends the session at the platform that the token depends on, and with it the tenant tokens of all tabs.",
      response: { 204: null },
    },
    async ({ platform, credential, header }) => {
      await platform.sessions.end(credential.sessionId);
      if (credential.kind === "cookie") header("set-cookie", setCookie(sessionCookie, "", 0));
    },
  ),

  r.post(
    "/auth/logout-all",
    {
      permission: "authenticated",
      context: "any",
      audit: "auth.logged_out_everywhere",
      summary: "Ends all of the caller's sessions, including this one",
      description: "For an account: at the platform and in all its tenants.",
      response: { 204: null },
    },
    async ({ platform, user }) => {
      await endAllSessions(platform, user);
    },
  ),

  r.get(
    "/auth/sessions",
    {
      permission: "authenticated",
      context: "any",
      summary: "Lists the caller's open sessions here, newest first",
      query: pageQuery({}),
      response: pageOf(SessionView),
    },
    ({ platform, user, credential, page }) => listOwnSessions(platform, user, credential, page),
  ),

  r.delete(
    "/auth/sessions/:id",
    {
      permission: "authenticated",
      context: "any",
      audit: "session.ended",
      summary: "Ends one of the caller's sessions",
      params: idParams,
      response: { 204: null },
      errors: [sessionNotFound],
    },
    async ({ platform, user, params }) => {
      await endOwnSession(platform, user, params.id);
    },
  ),
];
