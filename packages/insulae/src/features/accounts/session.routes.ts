import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { sessionCookie } from "../../kernel/identity/cookie-sessions.ts";
import { invalidToken } from "../../kernel/identity/errors.ts";
import { setCookie } from "../../kernel/lib/cookies.ts";
import { tenantAccessDenied, tenantInactive, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { Refresh, SessionView, SignedIn, Switch } from "./accounts.schemas.ts";
import { auditSignedIn } from "./audit-signed-in.ts";
import { endAllSessions, endOwnSession, listOwnSessions, sessionNotFound } from "./own-sessions.ts";
import { refresh } from "./refresh.ts";
import { emailNotVerified, noAccount, passwordLoginOff, switchTo } from "./switch.ts";

/** What happens to a session between log-in and log-out. */
export const sessionRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/auth/refresh",
    {
      permission: "public",
      context: "any",
      audit: { none: "the session's log-in is in the log; a token that was copied is logged" },
      summary: "Gives new tokens for a refresh token, which is good once",
      description:
        "If the answer is lost, the same token gives the same successor for ten seconds. One that comes again later, or after its successor was used, was copied: its session ends.",
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
      summary: "Gives a token for another tenant of the same account, in a session of its own",
      body: Switch,
      response: SignedIn,
      errors: [noAccount, emailNotVerified, passwordLoginOff, tenantNotFound, tenantInactive],
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
    "/auth/logout",
    {
      permission: "authenticated",
      context: "any",
      personal: false,
      audit: "auth.logged_out",
      summary:
        "Ends the session: its access tokens or its cookie, everywhere, and its refresh token",
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
      summary: "Ends all sessions of the person, this one too",
      description: "Of an account: in the core and in all its tenants.",
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
      summary: "Lists one's own sessions here that are open, newest first",
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
      summary: "Ends one of one's own sessions",
      params: idParams,
      response: { 204: null },
      errors: [sessionNotFound],
    },
    async ({ platform, user, params }) => {
      await endOwnSession(platform, user, params.id);
    },
  ),
];
