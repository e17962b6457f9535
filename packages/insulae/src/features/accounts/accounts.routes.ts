import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { invalidCredentials } from "../../kernel/identity/errors.ts";
import { passwordsBusy, weakPassword } from "../../kernel/identity/passwords.ts";
import { validationFailed } from "../../kernel/lib/http-errors.ts";
import { tenantAccessDenied, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { quotaExceeded } from "../../kernel/tenancy/plans.ts";
import { invalidEmail } from "../../kernel/validation/email.ts";
import { emailTaken, invalidUsername, usernameTaken } from "../users/users.feature.ts";
import {
  Jwks,
  LogIn,
  Me,
  Registration,
  SignedIn,
  VerificationPending,
} from "./accounts.schemas.ts";
import { type Credentials, logIn, refuseLogIn } from "./log-in.ts";
import { describeMe } from "./me.ts";
import { invitationOnly, register, registrationClosed } from "./registration.ts";
import { sessionRoutes } from "./session.routes.ts";
import { tenantOf } from "./tenant-of.ts";

export const accountRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/auth/register",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "auth.registered",
      summary: "Registers a user or an account and signs in",
      description:
        "If the request names a tenant (by host, header or `tenant`), this registers a user of that tenant with the role `user`; otherwise it registers a platform account, which may create tenants. If e-mail verification is required, the response contains no tokens and is the same for an address that is already registered; an e-mail says what happened.",
      body: Registration,
      unknownTenant() {
        throw invitationOnly();
      },
      response: { 201: Type.Union([SignedIn, VerificationPending]) },
      errors: [
        registrationClosed,
        emailTaken,
        usernameTaken,
        invalidEmail,
        invalidUsername,
        weakPassword,
        passwordsBusy,
        tenantNotFound,
        tenantAccessDenied,
        quotaExceeded,
      ],
    },
    async ({ platform, request, tenant, body, header, log, audit }) => {
      const { tenant: reference, session, ...person } = body;
      const where = await tenantOf(platform, tenant, reference);
      const context = { platform, request, browser: session === "cookie" ? header : undefined };
      return register({ ...context, audit, log }, where, person);
    },
  ),

  r.post(
    "/auth/login",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "auth.logged_in",
      summary: "Logs in with an e-mail or a username",
      description:
        "If the request names a tenant (by host, header or `tenant`), this logs in a user of that tenant; otherwise it logs in an account. An account in exactly one tenant gets a token for that tenant, unless `tenant` is null. Any other account gets a token for the platform and the list `tenants` to switch to.",
      body: LogIn,
      unknownTenant: ({ platform, request, audit, log, body }) =>
        refuseLogIn({ platform, request, audit, log }, credentialsOf(body).password),
      response: SignedIn,
      errors: [invalidCredentials, passwordsBusy, tenantNotFound, tenantAccessDenied],
    },
    async ({ platform, request, tenant, body, header, audit, log }) => {
      const credentials = credentialsOf(body);
      const where = await tenantOf(platform, tenant, body.tenant);
      const browser = body.session === "cookie" ? header : undefined;
      const context = { platform, request, browser, audit, log };
      return logIn(context, where, credentials, { core: body.tenant === null });
    },
  ),

  ...sessionRoutes(r),

  r.get(
    "/auth/me",
    {
      permission: "authenticated",
      context: "any",
      personal: false,
      summary: "Returns the caller, their tenant and their permissions",
      response: Me,
    },
    async ({ platform, user, tenant, credential }) => ({
      ...(await describeMe(platform, user, tenant, credential)),
      ...(credential.kind === "cookie" && {
        csrf_token: platform.cookieSessions.csrfToken(credential.sessionId),
      }),
    }),
  ),

  r.absolute.get(
    "/.well-known/jwks.json",
    {
      permission: "public",
      context: "core",
      summary: "Returns the public keys that verify access tokens (RFC 7517)",
      response: Jwks,
    },
    ({ platform, header }) => {
      // Shorter than the time for which a new key is published before it signs.
      header("cache-control", "public, max-age=300");
      return platform.tokens.jwks();
    },
  ),
];

function credentialsOf(body: { email?: string; username?: string; password: string }): Credentials {
  const { email, username, password } = body;
  if (email !== undefined && username === undefined) return { by: "email", name: email, password };
  if (username !== undefined && email === undefined) {
    return { by: "username", name: username, password };
  }
  const message = "give either email or username";
  throw validationFailed({ errors: [{ pointer: "/body", message }] });
}
