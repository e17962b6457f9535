/**
 * The invitation e-mail. Following its link proves the address, so accepting verifies the e-mail.
 */

import { mailTemplate } from "../../kernel/feature/mail-template.ts";
import type { Subject } from "../../kernel/identity/subject.ts";
import type { TenantId, UserId } from "../../kernel/lib/ids.ts";
import { findCredentials } from "../users/users.feature.ts";
import { findInvitation, type InvitationTables } from "./invitations.queries.ts";

/** The purpose of invitation tokens. */
export const invitationPurpose = "invitation";

/** The token's subject: the invitation stands in for the user that it will create. */
export const subjectOf = (tenantId: TenantId, invitationId: string): Subject => ({
  tenantId,
  id: invitationId as UserId,
});

/** Sends nothing if the invitation was accepted, revoked or resent meanwhile. */
export const invitationMail = mailTemplate<{ readonly id: string; readonly sending: number }>(
  {
    name: "invitation",
    about: "Sent to the invited person",
    subject: "{{ tenant }}: an invitation",
    body: [
      "You are invited to {{ tenant }}{% if login_link %}, where this address is already registered{% endif %}.",
      "{{ login_link }}",
      "{{ link }}",
      "{% if link %}The link works once, until {{ until }}. If you don't know the sender, ignore this message.{% endif %}",
    ],
    values: { until: "Fri, 09 Jan 2026 10:00:00 GMT" },
    links: { link: "View the invitation", login_link: "Sign in" },
  },
  async ({ id, sending }, { platform, tenant, to, link }) => {
    if (!tenant) return undefined;
    const found = await platform.withTenant<InvitationTables, Facts | undefined>(
      tenant,
      async ({ db }) => {
        const invitation = await findInvitation(db, id);
        if (!invitation || invitation.expired || invitation.sendings !== sending) return undefined;
        const user = await findCredentials(db.$pickTables<"users">(), "email", to);
        return { expiresAt: invitation.expires_at, isUser: user !== undefined };
      },
    );
    if (!found) return undefined;
    const until = found.expiresAt.toUTCString();
    if (found.isUser) return { until, link: undefined, login_link: link("/login") };
    const token = await platform.oneTimeTokens.issue({
      purpose: invitationPurpose,
      subject: subjectOf(tenant.id, id),
      ttlSeconds: (found.expiresAt.getTime() - Date.now()) / 1000,
      detail: { email: to, sending: String(sending) },
    });
    return { until, link: link("/invitation", { token }), login_link: undefined };
  },
);

interface Facts {
  readonly expiresAt: Date;
  readonly isUser: boolean;
}
