import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { tenantAccessDenied, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import {
  SessionChoice,
  SignedIn,
  TenantReference,
  tenantOf,
} from "../accounts/accounts.feature.ts";
import { PasskeyAnswer, PasskeyOptions, passkeyBodyLimit } from "./factors.schemas.ts";
import { invalidPasskey, logInByPasskey, logInOptions } from "./passkey-log-in.ts";

const Where = Type.Object({ tenant: Type.Optional(TenantReference) }, { $id: "PasskeyLogInStart" });
const LogIn = Type.Object(
  {
    passkey: PasskeyAnswer,
    tenant: Type.Optional(TenantReference),
    session: Type.Optional(SessionChoice),
  },
  { $id: "PasskeyLogIn" },
);

export const passkeyLogInRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/auth/passkey/options",
    {
      permission: "public",
      context: "any",
      audit: { none: "nobody is identified yet" },
      summary: "Returns the WebAuthn options for logging in with a passkey",
      body: Where,
      unknownTenant: (context) => logInOptions(context, undefined),
      response: PasskeyOptions,
      errors: [tenantNotFound, tenantAccessDenied],
    },
    async ({ platform, request, tenant, body }) =>
      logInOptions({ platform, request }, await tenantOf(platform, tenant, body.tenant)),
  ),

  r.post(
    "/auth/passkey",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "auth.logged_in",
      summary: "Logs in with a passkey, without a name or a password",
      description:
        "If the request names a tenant, this logs in a user of that tenant; otherwise an account, as with its password. A passkey satisfies the second-factor requirement.",
      body: LogIn,
      bodyLimit: passkeyBodyLimit,
      unknownTenant() {
        throw invalidPasskey();
      },
      response: SignedIn,
      errors: [invalidPasskey, tenantNotFound, tenantAccessDenied],
    },
    async ({ platform, request, tenant, header, audit, body }) => {
      const where = await tenantOf(platform, tenant, body.tenant);
      const deps = { platform, request, tenant, header, audit };
      return logInByPasskey(deps, where, body.passkey, body.session === "cookie");
    },
  ),
];
