import { invalidEmail } from "../../kernel/auth/email.ts";
import { invalidCredentials } from "../../kernel/auth/errors.ts";
import { passwordsBusy, weakPassword } from "../../kernel/auth/passwords.ts";
import type { RouteBuilder } from "../../kernel/feature.ts";
import { validationFailed } from "../../kernel/http/errors.ts";
import type { Platform } from "../../kernel/platform.ts";
import { tenantAccessDenied, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import type { Tenant } from "../../kernel/tenancy/tenant.ts";
import { invalidUsername, usernameTaken } from "../users/users.feature.ts";
import { Jwks, LogIn, Me, Registration, SignedIn } from "./accounts.schemas.ts";
import { type Credentials, logInAccount, logInUser } from "./log-in.ts";
import { describeMe } from "./me.ts";
import {
  accountExists,
  registerAccount,
  registerUser,
  registrationClosed,
} from "./registration.ts";
import { sessionRoutes } from "./session.routes.ts";

export const accountRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/auth/register",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "auth.registered",
      summary: "Registers, and signs in",
      description:
        "Where a tenant is known (by host, header or `tenant`), as its user with the role `user`; otherwise as an account of the platform, which may make tenants.",
      body: Registration,
      response: { 201: SignedIn },
      errors: [
        registrationClosed,
        accountExists,
        usernameTaken,
        invalidEmail,
        invalidUsername,
        weakPassword,
        passwordsBusy,
        tenantNotFound,
        tenantAccessDenied,
      ],
    },
    async ({ platform, request, tenant, body, log }) => {
      const { tenant: reference, ...person } = body;
      const where = await tenantOf(platform, tenant, reference);
      const signedIn = await (where
        ? registerUser({ platform, request }, where, person)
        : registerAccount({ platform, request }, person));
      log.info({ user_id: signedIn.user.id, tenant_id: where?.id }, "User registered");
      return signedIn;
    },
  ),

  r.post(
    "/auth/login",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "auth.logged_in",
      summary: "Logs in, with an e-mail or a username",
      description:
        "Where a tenant is known (by host, header or `tenant`), as its user. Otherwise as an account: one that is in a single tenant gets a token for that tenant; one that is in several gets a token for the platform, and the list `tenants` to switch to.",
      body: LogIn,
      response: SignedIn,
      errors: [invalidCredentials, passwordsBusy, tenantNotFound, tenantAccessDenied],
    },
    async ({ platform, request, tenant, body, log }) => {
      const credentials = credentialsOf(body);
      const where = await tenantOf(platform, tenant, body.tenant);
      return where
        ? logInUser({ platform, request, log }, where, credentials)
        : logInAccount({ platform, request, log }, credentials);
    },
  ),

  ...sessionRoutes(r),

  r.get(
    "/auth/me",
    {
      permission: "authenticated",
      context: "any",
      summary: "Says who is signed in, where, and what they may do",
      response: Me,
    },
    ({ platform, user, tenant }) => describeMe(platform, user, tenant),
  ),

  r.absolute.get(
    "/.well-known/jwks.json",
    {
      permission: "public",
      context: "core",
      summary: "The public keys that verify access tokens (RFC 7517)",
      response: Jwks,
    },
    ({ platform, header }) => {
      // New keys are published for longer than this before they sign.
      header("cache-control", "public, max-age=300");
      return platform.tokens.jwks();
    },
  ),
];

/**
 * The tenant that a sign-up or a log-in is for. One that the body names only selects: it has to
 * agree with what host, header or token say.
 */
async function tenantOf(
  { tenants }: Platform,
  known: Tenant | undefined,
  reference: string | undefined,
): Promise<Tenant | undefined> {
  if (reference === undefined) return known;
  const selected = await tenants.find(reference);
  if (known && selected?.id !== known.id) throw tenantAccessDenied();
  // Strangers are not told that a tenant is suspended.
  if (selected?.status !== "active") throw tenantNotFound();
  return selected;
}

function credentialsOf(body: { email?: string; username?: string; password: string }): Credentials {
  const { email, username, password } = body;
  if (email !== undefined && username === undefined) return { by: "email", name: email, password };
  if (username !== undefined && email === undefined) {
    return { by: "username", name: username, password };
  }
  const message = "give either email or username";
  throw validationFailed({ errors: [{ pointer: "/body", message }] });
}
