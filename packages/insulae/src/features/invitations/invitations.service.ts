/**
 * Sends invitations. An invitation grants only what its sender may grant, checked when it is sent
 * and again when it is accepted. Whoever resends it becomes its sender.
 *
 * Nothing here looks up whether the e-mail has an account, so no response reveals it. The e-mail
 * does.
 */

import type { SystemRole } from "../../kernel/feature/feature.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { UserId } from "../../kernel/lib/ids.ts";
import { refuseBeyond } from "../../kernel/lib/in-turn.ts";
import type { TenantMail } from "../../kernel/mail/mail.ts";
import type { Tenant } from "../../kernel/model/tenant.ts";
import { canonicalEmail } from "../../kernel/validation/email.ts";
import { findOwnRole, type RoleRow, roleNotFound } from "../roles/roles.feature.ts";
import { type Actor, refuseRole, type UserDeps } from "../users/users.feature.ts";
import {
  deleteInvitation,
  findView,
  type InvitationTables,
  insertInvitation,
  lockInvitation,
  renewInvitation,
} from "./invitations.queries.ts";
import { invitationMail } from "./mails.ts";

export const invitationNotFound = defineError(
  "invitation_not_found",
  404,
  "There is no such invitation",
);
export const invitationExists = defineError(
  "invitation_exists",
  409,
  "This e-mail address already has an open invitation. Resend or revoke it.",
);

export const tooManyInvitations = defineError(
  "too_many_invitations",
  409,
  "A tenant can have at most 1,000 open invitations. Revoke some first.",
);

const maxInvitations = 1_000;

export interface InvitationDeps extends UserDeps<InvitationTables> {
  readonly user: Actor & { readonly id: UserId };
  readonly tenant: Tenant;
  readonly mail: TenantMail;
  /** Counts the tenant's daily usage. @throws quota_exceeded */
  readonly countUsage: (metric: "notifications") => void;
}

export interface NewInvitation {
  readonly email: string;
  /** Default `user`. */
  readonly role?: SystemRole | undefined;
  /** The tenant's own roles, by id or name. */
  readonly roles?: readonly string[] | undefined;
}

/**
 * @throws invitationExists, roleNotFound, roleAboveOwn, permissionNotHeld, invalidEmail,
 *   tooManyInvitations, quotaExceeded
 */
export async function invite(
  { db, permissions, user, tenant, mail, countUsage }: InvitationDeps,
  { role = "user", roles: references = [], ...wanted }: NewInvitation,
) {
  const email = canonicalEmail(wanted.email);
  const id = await db.transaction().execute(async (tx) => {
    const inRoles = { db: tx.$pickTables<"users" | "roles" | "user_roles">() };
    const roles: RoleRow[] = [];
    for (const reference of references) {
      const found = await findOwnRole(inRoles, reference);
      if (!found) throw roleNotFound();
      roles.push(found);
    }
    const added = roles.flatMap((own) => own.permissions);
    refuseRole({ permissions, user }, role, added);
    await refuseBeyond(tx, "invitations", maxInvitations, tooManyInvitations);
    countUsage("notifications");
    return insertInvitation(tx, {
      email,
      role,
      role_ids: [...new Set(roles.map((own) => own.id))],
      sent_by: user.id,
      expires_at: expiryIn(tenant),
    });
  });
  if (id === undefined) throw invitationExists();
  await mail.send(invitationMail, { to: email, variables: { id, sending: 1 } });
  return view(db, id);
}

/**
 * Sends the invitation again with a new link; earlier links become invalid.
 *
 * @throws invitationNotFound, roleAboveOwn, permissionNotHeld, quotaExceeded
 */
export async function sendAgain(
  { db, permissions, user, tenant, mail, countUsage }: InvitationDeps,
  id: string,
) {
  const { email, sendings } = await db.transaction().execute(async (tx) => {
    await lockGivable({ db: tx, permissions, user }, id);
    countUsage("notifications");
    return renewInvitation(tx, id, user.id, expiryIn(tenant));
  });
  await mail.send(invitationMail, { to: email, variables: { id, sending: sendings } });
  return view(db, id);
}

/**
 * @returns the e-mail it was sent to. @throws invitationNotFound, roleAboveOwn, permissionNotHeld
 */
export async function revoke(
  { db, permissions, user }: InvitationDeps,
  id: string,
): Promise<string> {
  return db.transaction().execute(async (tx) => {
    const { email } = await lockGivable({ db: tx, permissions, user }, id);
    await deleteInvitation(tx, id);
    return email;
  });
}

/** The invitation, locked, if the caller could have sent it. */
async function lockGivable(
  { db: tx, permissions, user }: Pick<InvitationDeps, "db" | "permissions" | "user">,
  id: string,
) {
  const invitation = await lockInvitation(tx, id);
  if (!invitation) throw invitationNotFound();
  refuseRole({ permissions, user }, invitation.role, invitation.added);
  return invitation;
}

async function view(db: InvitationDeps["db"], id: string) {
  const found = await findView(db, id);
  if (!found) throw invitationNotFound();
  return found;
}

const defaultDays = 7;

function expiryIn({ settings }: Tenant): Date {
  const days = settings.invitation_days;
  return new Date(Date.now() + (typeof days === "number" ? days : defaultDays) * 86_400_000);
}
