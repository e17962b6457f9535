/** Errors of authentication and authorisation. */
import { AppError, defineError, type ErrorFactory } from "../lib/errors.ts";
import type { Principal } from "./principal.ts";

/** A 401 names the authentication scheme (RFC 9110, section 11.6.1; RFC 6750, section 3). */
const challenging = (error: ErrorFactory, challenge: string): ErrorFactory =>
  Object.assign(
    (detail?: Parameters<ErrorFactory>[0]) =>
      error({ ...detail, headers: { "www-authenticate": challenge, ...detail?.headers } }),
    { code: error.code, status: error.status, title: error.title },
  );

export const authenticationRequired = challenging(
  defineError("authentication_required", 401, "This request needs credentials. Sign in first."),
  "Bearer",
);
export const invalidToken = challenging(
  defineError("invalid_token", 401, "Invalid or expired token"),
  'Bearer error="invalid_token"',
);
export const wrongContext = challenging(
  defineError(
    "wrong_context",
    401,
    "This token is not valid here. Tenants' routes need a token of the tenant, all others a token without a tenant.",
  ),
  'Bearer error="invalid_token"',
);
export const invalidCredentials = challenging(
  defineError("invalid_credentials", 401, "Wrong e-mail, username or password"),
  "Bearer",
);
/** With `mfa_token`, `methods` and, if there is a passkey, the options for it in `passkey`. */
export const secondFactorRequired = challenging(
  defineError(
    "second_factor_required",
    401,
    "The first step succeeded. Send the second factor with mfa_token.",
  ),
  "Bearer",
);
export const personalOnly = defineError(
  "personal_only",
  403,
  "Only the signed-in person can do this, not an API key, a client certificate or an impersonator",
);
export const tenantTokenRefused = defineError(
  "tenant_token_refused",
  403,
  "A tenant token cannot open or replace a session. Use the session that issued the token.",
);
export const permissionDenied = defineError(
  "permission_denied",
  403,
  "You lack the permission to do this",
);
/** @param roles those that have the permission, if the response may reveal them */
export const needsPermission = (permission: string, roles?: readonly string[]): AppError =>
  permissionDenied({
    detail:
      `You need the permission ${permission}. An administrator of the tenant can grant it.` +
      (roles ? ` These roles have it: ${roles.join(", ")}.` : ""),
    members: { permission, ...(roles && { roles }) },
  });
export const needsPlatform = (): AppError =>
  permissionDenied({
    detail: "Only a platform administrator who is signed in without a tenant can do this.",
    members: { permission: "platform" },
  });
export const csrfRefused = defineError(
  "csrf_refused",
  403,
  "A change authenticated by a cookie needs the header X-CSRF-Token. Take its value from the log-in or GET /api/v1/auth/me.",
);

/** An error for a known caller: the refusal is charged to them, not to their address. */
export class CallerRefused extends AppError {
  readonly caller: Principal;

  constructor(refusal: AppError, caller: Principal) {
    const { headers, members, detail, cause } = refusal;
    super(refusal, { headers, members, cause, ...(detail !== undefined && { detail }) });
    this.caller = caller;
  }
}
