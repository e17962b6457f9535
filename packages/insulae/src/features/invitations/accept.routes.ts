import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { impersonatorOf, isMachine } from "../../kernel/identity/credential.ts";
import { personalOnly } from "../../kernel/identity/errors.ts";
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

/** For those who were invited: they belong to no tenant yet. */
export const acceptRoutes = (r: RouteBuilder<InvitationTables>) => [
  r.get(
    "/invitations/preview",
    {
      permission: "public",
      context: "any",
      limit: "credentials",
      summary: "Shows whoever has the mail's link what they are invited to",
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
      summary: "Accepts an invitation, and signs in to the tenant",
      description:
        "Somebody new gives `token` and `password`: they get an account, whose e-mail is verified by that. Whoever has an account with the invitation's e-mail, verified, signs in first, and gives `token` or `invitation_id`.",
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
