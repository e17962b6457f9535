import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { quotaExceeded } from "../../kernel/tenancy/plans.ts";
import { invalidEmail } from "../../kernel/validation/email.ts";
import { roleNotFound } from "../roles/roles.feature.ts";
import { permissionNotHeld, roleAboveOwn } from "../users/users.feature.ts";
import { type InvitationTables, listInvitations } from "./invitations.queries.ts";
import { Invitation, NewInvitation } from "./invitations.schemas.ts";
import {
  invitationExists,
  invitationNotFound,
  invite,
  revoke,
  sendAgain,
  tooManyInvitations,
} from "./invitations.service.ts";

const target = (id: string) => ({ type: "invitation", id });

/** Routes for people who may add users. */
export const invitationRoutes = (r: RouteBuilder<InvitationTables>) => [
  r.get(
    "/invitations",
    {
      permission: "users:write",
      summary: "Lists open invitations, newest first",
      query: pageQuery(),
      response: pageOf(Invitation),
    },
    ({ db, page }) => listInvitations(db, page),
  ),

  r.post(
    "/invitations",
    {
      permission: "users:write",
      limit: "credentials",
      impersonators: false,
      audit: "invitation.sent",
      summary: "Invites somebody by e-mail, with a role up to your own",
      description:
        "The response is the same whether or not the e-mail has an account or a user; only the message says. Its link is valid for seven days, or the tenant's `invitation_days`. On acceptance it grants no more than its sender may grant at that time.",
      body: NewInvitation,
      response: { 201: Invitation },
      errors: [
        invitationExists,
        roleNotFound,
        roleAboveOwn,
        permissionNotHeld,
        invalidEmail,
        tooManyInvitations,
        quotaExceeded,
      ],
    },
    async (context) => {
      const invitation = await invite(context, context.body);
      const { id, email, role, roles } = invitation;
      const detail = { email, role, roles };
      await context.audit({ action: "invitation.sent", target: target(id), detail });
      return invitation;
    },
  ),

  r.post(
    "/invitations/:id/resend",
    {
      permission: "users:write",
      limit: "credentials",
      impersonators: false,
      audit: "invitation.sent",
      summary: "Resends an invitation with a new link; earlier links become invalid",
      description: "The caller becomes its sender: it grants no more than the caller may grant.",
      params: idParams,
      response: Invitation,
      errors: [invitationNotFound, roleAboveOwn, permissionNotHeld, quotaExceeded],
    },
    async (context) => {
      const invitation = await sendAgain(context, context.params.id);
      const { id, email, role, roles } = invitation;
      const detail = { email, role, roles, again: true };
      await context.audit({ action: "invitation.sent", target: target(id), detail });
      return invitation;
    },
  ),

  r.delete(
    "/invitations/:id",
    {
      permission: "users:write",
      audit: "invitation.revoked",
      summary: "Revokes an invitation and its links",
      params: idParams,
      response: { 204: null },
      errors: [invitationNotFound, roleAboveOwn, permissionNotHeld],
    },
    async (context) => {
      const { id } = context.params;
      const email = await revoke(context, id);
      await context.audit({ action: "invitation.revoked", target: target(id), detail: { email } });
    },
  ),
];
