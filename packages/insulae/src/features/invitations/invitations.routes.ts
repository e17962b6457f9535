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

/** For those who may add users. */
export const invitationRoutes = (r: RouteBuilder<InvitationTables>) => [
  r.get(
    "/invitations",
    {
      permission: "users:write",
      summary: "Lists the invitations that are not accepted, newest first",
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
      summary: "Invites somebody by e-mail, to a role up to your own",
      description:
        "The answer is the same whether or not the e-mail has an account or a user; the mail says. The link in it is good for seven days, or the tenant's `invitation_days`. When it is accepted, it gives no more than whoever sent it may give then.",
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
    async (setting) => {
      const invitation = await invite(setting, setting.body);
      const { id, email, role, roles } = invitation;
      const detail = { email, role, roles };
      await setting.audit({ action: "invitation.sent", target: target(id), detail });
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
      summary: "Sends an invitation again, with a new link; the old ones are void",
      description: "From now on it is the caller's, and gives no more than they may give.",
      params: idParams,
      response: Invitation,
      errors: [invitationNotFound, roleAboveOwn, permissionNotHeld, quotaExceeded],
    },
    async (setting) => {
      const invitation = await sendAgain(setting, setting.params.id);
      const { id, email, role, roles } = invitation;
      const detail = { email, role, roles, again: true };
      await setting.audit({ action: "invitation.sent", target: target(id), detail });
      return invitation;
    },
  ),

  r.delete(
    "/invitations/:id",
    {
      permission: "users:write",
      audit: "invitation.revoked",
      summary: "Revokes an invitation; its links are void",
      params: idParams,
      response: { 204: null },
      errors: [invitationNotFound, roleAboveOwn, permissionNotHeld],
    },
    async (setting) => {
      const { id } = setting.params;
      const email = await revoke(setting, id);
      await setting.audit({ action: "invitation.revoked", target: target(id), detail: { email } });
    },
  ),
];
