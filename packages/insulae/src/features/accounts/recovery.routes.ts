import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { tenantTokenRefused } from "../../kernel/identity/errors.ts";
import { maxPasswordLength, passwordsBusy, weakPassword } from "../../kernel/identity/passwords.ts";
import { tenantAccessDenied, tenantNotFound } from "../../kernel/tenancy/errors.ts";
import { canonicalEmail, invalidEmail } from "../../kernel/validation/email.ts";
import { Email, NewPassword, passwordResetMail, verificationMail } from "../users/users.feature.ts";
import { SignedIn, TenantReference } from "./accounts.schemas.ts";
import { changePassword, wrongPassword } from "./change-password.ts";
import { invalidLink, type Redeemed, resetPassword, verifyEmail } from "./recovery.ts";
import { tenantOf } from "./tenant-of.ts";

const Token = Type.String({
  minLength: 1,
  maxLength: 200,
  description: "The token from the link in the e-mail.",
});
const Address = Type.Object(
  { email: Email, tenant: Type.Optional(TenantReference) },
  { $id: "Address" },
);

/** More would only fill a mailbox: each link is valid for longer than an hour. */
const atMostHourly = 5;

/** The actor and the log of the audit entry. */
const auditOf = ({ subject, tenant }: Redeemed) => {
  const type = subject.tenantId === null ? "account" : "user";
  return {
    tenant: tenant ?? null,
    actor: { kind: type, id: subject.id },
    target: { type, id: subject.id },
  } as const;
};

export const recoveryRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.post(
    "/auth/verify-email",
    {
      permission: "public",
      context: "any",
      audit: "auth.email_verified",
      limit: "credentials",
      summary: "Verifies an e-mail with the token from the message",
      body: Type.Object({ token: Token }, { $id: "EmailVerification" }),
      unknownTenant() {
        throw invalidLink();
      },
      response: { 204: null },
      errors: [invalidLink],
    },
    async ({ platform, tenant, body, audit }) => {
      const redeemed = await verifyEmail(platform, tenant, body.token);
      await audit({ action: "auth.email_verified", ...auditOf(redeemed) });
    },
  ),

  r.post(
    "/auth/resend-verification",
    {
      permission: "public",
      context: "any",
      audit: "auth.verification_requested",
      limit: "credentials",
      summary: "Resends the verification e-mail",
      description:
        "The response is the same for every address. An e-mail is sent only if the address is registered (with the tenant, if the request names one, otherwise as an account) and not verified yet.",
      body: Address,
      // The same response as for an address that is not registered.
      unknownTenant: ({ body }) => void canonicalEmail(body.email),
      response: { 202: null },
      errors: [invalidEmail, tenantNotFound, tenantAccessDenied],
    },
    async ({ platform, tenant, body }) => {
      const where = await tenantOf(platform, tenant, body.tenant);
      const to = canonicalEmail(body.email);
      await platform.mail.send(verificationMail, {
        to,
        tenant: where,
        variables: {},
        atMostHourly,
      });
    },
  ),

  r.post(
    "/auth/password-reset-request",
    {
      permission: "public",
      context: "any",
      audit: "auth.password_reset_requested",
      limit: "credentials",
      summary: "E-mails a link for setting a new password",
      description:
        "The response is the same for every address. An e-mail is sent only if the address is registered: with the tenant, if the request names one, otherwise as an account.",
      body: Address,
      unknownTenant: ({ body }) => void canonicalEmail(body.email),
      response: { 202: null },
      errors: [invalidEmail, tenantNotFound, tenantAccessDenied],
    },
    async ({ platform, tenant, body }) => {
      const where = await tenantOf(platform, tenant, body.tenant);
      const to = canonicalEmail(body.email);
      await platform.mail.send(passwordResetMail, {
        to,
        tenant: where,
        variables: {},
        atMostHourly,
      });
    },
  ),

  r.post(
    "/auth/password-reset",
    {
      permission: "public",
      context: "any",
      audit: "auth.password_reset",
      limit: "credentials",
      summary: "Sets a new password with the token from the e-mail",
      description:
        "Ends all sessions and marks the e-mail as verified. For a user linked to an account, this sets the account's password.",
      body: Type.Object({ token: Token, password: NewPassword }, { $id: "PasswordReset" }),
      unknownTenant() {
        throw invalidLink();
      },
      response: { 204: null },
      errors: [invalidLink, weakPassword, passwordsBusy],
    },
    async ({ platform, tenant, body, audit }) => {
      const redeemed = await resetPassword(platform, tenant, body.token, body.password);
      await audit({ action: "auth.password_reset", ...auditOf(redeemed) });
    },
  ),

  r.post(
    "/auth/password-change",
    {
      permission: "authenticated",
      context: "any",
      audit: "auth.password_changed",
      limit: "credentials",
      summary: "Changes the caller's password",
      description:
        "Ends all sessions and returns new tokens. For a user linked to an account, this changes the account's password.",
      body: Type.Object(
        {
          current_password: Type.String({ minLength: 1, maxLength: maxPasswordLength }),
          new_password: NewPassword,
        },
        { $id: "PasswordChange" },
      ),
      response: SignedIn,
      errors: [wrongPassword, weakPassword, passwordsBusy, tenantTokenRefused],
    },
    ({ platform, request, tenant, user, credential, header, body }) => {
      const browser = credential.kind === "cookie" ? header : undefined;
      return changePassword({ platform, request, browser }, user, credential, tenant, body);
    },
  ),
];
