import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { impersonatorOf, isMachine } from "../../kernel/identity/credential.ts";
import { personalOnly, tenantTokenRefused } from "../../kernel/identity/errors.ts";
import { passwordsBusy, weakPassword } from "../../kernel/identity/passwords.ts";
import { quotaExceeded } from "../../kernel/tenancy/plans.ts";
import {
  emailNotVerified,
  invalidLink,
  noAccount,
  SignedIn,
} from "../accounts/accounts.feature.ts";
import { alreadyMember } from "../users/users.feature.ts";
import {
  acceptInvitation,
  accountWaits,
  invitationForAnother,
  invitationLapsed,
  previewInvitation,
} from "./accept.ts";
import type { InvitationTables } from "./invitations.queries.ts";
import { Acceptance, InvitationPreview, InvitationToken } from "./invitations.schemas.ts";

/** Routes for invited people, who don't belong to the tenant yet. */
export const acceptRoutes = (r: RouteBuilder<InvitationTables>) => [
  r.get(
    "/invitations/preview",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      summary: "Returns the invitation behind the link in the e-mail",
      query: Type.Object({ token: InvitationToken }),
      unknownTenant() {
        throw invalidLink();
      },
      response: InvitationPreview,
      errors: [invalidLink],
    },
    ({ platform, tenant, query }) => previewInvitation(platform, tenant, query.token),
  ),

  r.post(
    "/invitations/accept",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      audit: "invitation.accepted",
      summary: "Accepts an invitation and signs in to the tenant",
      description:
        "New people send `token` and `password`; they get an account with a verified e-mail. People with an account whose verified e-mail is the invitation's sign in first and send `token` or `invitation_id`.",
      body: Acceptance,
      unknownTenant() {
        throw invalidLink();
      },
      response: { 201: SignedIn },
      errors: [
        quotaExceeded,
        invalidLink,
        accountWaits,
        invitationForAnother,
        invitationLapsed,
        emailNotVerified,
        alreadyMember,
        noAccount,
        personalOnly,
        tenantTokenRefused,
        weakPassword,
        passwordsBusy,
      ],
    },
    async ({ platform, request, tenant, user, credential, body, header, audit }) => {
      if (credential && (isMachine(credential) || impersonatorOf(credential))) throw personalOnly();
      const { session, ...acceptance } = body;
      const browser = session === "cookie" || credential?.kind === "cookie" ? header : undefined;
      const caller = user && credential && { user, credential };
      const context = { platform, request, browser, audit };
      return acceptInvitation(context, tenant, caller, acceptance);
    },
  ),
];
