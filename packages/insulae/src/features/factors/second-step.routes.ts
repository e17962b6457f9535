import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { SignedIn } from "../accounts/accounts.feature.ts";
import { beginPasskey, beginTotp } from "./adding.ts";
import {
  AddedFactor,
  BegunTotp,
  Enrolment,
  MfaToken,
  PasskeyOptions,
  passkeyBodyLimit,
  SecondFactor,
} from "./factors.schemas.ts";
import { tooManyAttempts, wrongFactor } from "./prove.ts";
import { enrol, enrollee, finish, invalidMfaToken } from "./second-step.ts";

const Token = Type.Object({ mfa_token: MfaToken }, { $id: "MfaToken" });

export const secondStepRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/auth/second-factor",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "auth.second_factor_used",
      summary: "Completes a log-in after `second_factor_required`",
      description:
        "Send the response's `mfa_token` and one of its `methods`. A wrong code does not use up the token. After five wrong codes the wait doubles with each further one, whatever address they come from.",
      body: SecondFactor,
      bodyLimit: passkeyBodyLimit,
      unknownTenant() {
        throw invalidMfaToken();
      },
      response: SignedIn,
      errors: [invalidMfaToken, wrongFactor, tooManyAttempts],
    },
    ({ platform, request, tenant, header, audit, body }) =>
      finish({ platform, request, tenant, header, audit }, body),
  ),

  r.post(
    "/auth/second-factor/totp",
    {
      permission: "public",
      context: "any",
      audit: { none: "the factor takes effect only when it is confirmed, which is audited" },
      summary: "Begins setting up an authenticator app during a log-in that requires a factor",
      body: Token,
      unknownTenant() {
        throw invalidMfaToken();
      },
      response: BegunTotp,
      errors: [invalidMfaToken],
    },
    async ({ platform, request, tenant, header, audit, body }) => {
      const deps = { platform, request, tenant, header, audit };
      return beginTotp(deps, await enrollee(deps, body.mfa_token));
    },
  ),

  r.post(
    "/auth/second-factor/passkey",
    {
      permission: "public",
      context: "any",
      audit: { none: "the factor takes effect only when it is confirmed, which is audited" },
      summary: "Begins creating a passkey during a log-in that requires a factor",
      body: Token,
      unknownTenant() {
        throw invalidMfaToken();
      },
      response: PasskeyOptions,
      errors: [invalidMfaToken],
    },
    async ({ platform, request, tenant, header, audit, body }) => {
      const deps = { platform, request, tenant, header, audit };
      return beginPasskey(deps, await enrollee(deps, body.mfa_token));
    },
  ),

  r.post(
    "/auth/second-factor/enrolment",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "factor.added",
      summary: "Adds the first factor and completes the log-in",
      body: Enrolment,
      bodyLimit: passkeyBodyLimit,
      unknownTenant() {
        throw invalidMfaToken();
      },
      response: { 201: AddedFactor },
      errors: [invalidMfaToken, wrongFactor],
    },
    ({ platform, request, tenant, header, audit, body }) =>
      enrol({ platform, request, tenant, header, audit }, body),
  ),
];
