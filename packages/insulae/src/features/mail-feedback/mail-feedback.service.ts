/**
 * Applies bounce and complaint reports. A report names an e-mail by SES's id. Its tenant and
 * recipient come from our record of the hand-over to SES, never from the report:
 *
 *     report ─► handed_over_mails ─┬─► a tenant's notification: bounced, and its address suppressed
 *                                  └─► a system e-mail: failed; its tenant, if any, sends no more
 *                                      notifications to that address
 */
import { type Kysely, sql } from "kysely";
import { type Static, Type } from "typebox";
import { Check } from "typebox/value";
import type { Platform } from "../../kernel/feature/platform.ts";
import type { TenantScope } from "../../kernel/feature/tenant-scope.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";
import { keptText } from "../../kernel/telemetry/redact.ts";
import {
  type NotificationTables,
  notificationReturned,
  type Returned,
  suppress,
} from "../notifications/notifications.feature.ts";

/**
 * SES's notifications and its events, which use different names for the kind.
 * https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
 */
const Report = Type.Object({
  notificationType: Type.Optional(Type.String()),
  eventType: Type.Optional(Type.String()),
  mail: Type.Object({ messageId: Type.String({ minLength: 1, maxLength: 200 }) }),
  bounce: Type.Optional(
    Type.Object({
      bounceType: Type.String(),
      bounceSubType: Type.Optional(Type.String()),
      bouncedRecipients: Type.Array(Type.Object({ diagnosticCode: Type.Optional(Type.String()) })),
    }),
  ),
  complaint: Type.Optional(
    Type.Object({ complaintFeedbackType: Type.Optional(Type.Union([Type.String(), Type.Null()])) }),
  ),
});

export interface Feedback extends Returned {
  /** The e-mail's id at SES. */
  readonly providerId: string;
}

/** @returns undefined for reports that need no action, such as a delivery or a full mailbox */
export function readFeedback(text: string): Feedback | undefined {
  const report = parsed(text);
  if (!report) return undefined;
  const { mail, bounce, complaint, notificationType: kind = report.eventType } = report;
  const providerId = mail.messageId;
  if (kind === "Bounce" && bounce?.bounceType === "Permanent") {
    const said = bounce.bouncedRecipients[0]?.diagnosticCode ?? bounce.bounceSubType;
    return { providerId, status: "bounced", reason: clean(said ?? "bounced") };
  }
  if (kind === "Complaint" && complaint) {
    const said = complaint.complaintFeedbackType ?? "complaint";
    return { providerId, status: "complained", reason: clean(said) };
  }
  return undefined;
}

function parsed(text: string): Static<typeof Report> | undefined {
  try {
    const report: unknown = JSON.parse(text);
    return Check(Report, report) ? report : undefined;
  } catch {
    // SES tests a new topic with plain text.
    return undefined;
  }
}

const clean = (said: string): string => keptText(said, 500);

/** Applies a report. Does nothing if it was applied before or is not about an e-mail of ours. */
export async function noteFeedback(
  { control, tenants, withTenant }: Platform,
  { providerId, ...returned }: Feedback,
): Promise<void> {
  const mail = await control
    .selectFrom("control.handed_over_mails")
    .select(["mail_id", "tenant_id"])
    .where("provider_id", "=", providerId)
    .executeTakeFirst();
  if (!mail) return;
  const tenant = mail.tenant_id === null ? undefined : await tenants.find(mail.tenant_id);
  const own = await failMail(control, mail.mail_id, returned);
  if (!tenant) return;
  await withTenant(tenant, async ({ db, log }: TenantScope<NotificationTables>) => {
    if (own) await suppress(db, own.recipient, returned);
    else if (!(await notificationReturned(db, mail.mail_id, returned))) return;
    log.info(
      { mail_id: mail.mail_id, status: returned.status },
      "An e-mail bounced or was reported as spam",
    );
  });
}

/** @returns undefined if it is not a system e-mail or was reported before */
const failMail = (control: Kysely<ControlTables>, id: string, { status, reason }: Returned) =>
  control
    .updateTable("control.mails")
    .set({
      state: "failed",
      reason: `${status}: ${reason}`,
      variables: "{}",
      finished_at: sql<Date>`now()`,
    })
    .where("id", "=", id)
    .where("state", "in", ["waiting", "sent"])
    .returning("recipient")
    .executeTakeFirst();
