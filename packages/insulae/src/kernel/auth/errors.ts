/** What is answered to callers who are not who, or not allowed what, the route asks for. */
import { AppError, defineError, type ErrorFactory } from "../errors.ts";
import type { Principal } from "./principal.ts";

/** A 401 says how to authenticate (RFC 9110, section 11.6.1; RFC 6750, section 3). */
const challenging = (error: ErrorFactory, challenge: string): ErrorFactory =>
  Object.assign(
    (detail?: Parameters<ErrorFactory>[0]) =>
      error({ ...detail, headers: { "www-authenticate": challenge, ...detail?.headers } }),
    { code: error.code, status: error.status, title: error.title },
  );

export const authenticationRequired = challenging(
  defineError("authentication_required", 401, "Sign in first"),
  "Bearer",
);
export const invalidToken = challenging(
  defineError("invalid_token", 401, "Invalid or expired token"),
  'Bearer error="invalid_token"',
);
export const wrongContext = challenging(
  defineError("wrong_context", 401, "The token is not valid here: it is for a tenant, or for none"),
  'Bearer error="invalid_token"',
);
export const invalidCredentials = challenging(
  defineError("invalid_credentials", 401, "Wrong e-mail, username or password"),
  "Bearer",
);
/** With `mfa_token`, `methods` and, where there is a passkey, `passkey`: what a browser asks for one. */
export const secondFactorRequired = challenging(
  defineError("second_factor_required", 401, "The first step is right; a second one is asked for"),
  "Bearer",
);
export const personalOnly = defineError(
  "personal_only",
  403,
  "Only the person themself may do this: no machine, and nobody in their stead",
);
export const permissionDenied = defineError(
  "permission_denied",
  403,
  "You are not permitted to do this",
);
/** Names the permission that the caller lacks. @param roles that have it, where the answer may tell. */
export const needsPermission = (permission: string, roles?: readonly string[]): AppError =>
  permissionDenied({
    detail:
      `You need the permission ${permission}. An administrator of the tenant can give it to you` +
      (roles ? `. These roles have it: ${roles.join(", ")}` : ""),
    members: { permission, ...(roles && { roles }) },
  });
export const needsPlatform = (): AppError =>
  permissionDenied({
    detail: "You need to be a platform administrator, signed in outside tenants",
    members: { permission: "platform" },
  });
export const csrfRefused = defineError(
  "csrf_refused",
  403,
  "A change that is made by a cookie needs its X-CSRF-Token, as log-in and GET /auth/me give it",
);

/** Any of these, to somebody who is known: the refusal is charged to them, not to their address. */
export class CallerRefused extends AppError {
  readonly caller: Principal;

  constructor(refusal: AppError, caller: Principal) {
    const { headers, members, detail, cause } = refusal;
    super(refusal, { headers, members, cause, ...(detail !== undefined && { detail }) });
    this.caller = caller;
  }
}
