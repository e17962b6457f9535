/**
 * What becomes of a report. It names the mail as SES does; whose that is, and to whom it went, is what
 * was noted when SES took it, and never what the report says:
 *
 *     report ─► handed_over_mails ─┬─► a tenant's notification: bounced, and its address suppressed
 *                                  └─► a mail of the system's own: failed; its tenant, if it has one,
 *                                      doesn't write notifications to that address any more
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
 * SES's notifications, and its events, which call the kind by another name.
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
  /** What SES calls the mail. */
  readonly providerId: string;
}

/** @returns undefined if nothing follows from it: a delivery, a mailbox that was full. */
export function readFeedback(text: string): Feedback | undefined {
  const report = parsed(text);
  if (!report) return undefined;
  const { mail, bounce, complaint, notificationType: kind = report.eventType } = report;
  const providerId = mail.messageId;
  if (kind === "Bounce" && bounce?.bounceType === "Permanent") {
    const said = bounce.bouncedRecipients[0]?.diagnosticCode ?? bounce.bounceSubType;
    return { providerId, status: "bounced", reason: clean(said ?? "it came back") };
  }
  if (kind === "Complaint" && complaint) {
    const said = complaint.complaintFeedbackType ?? "it was not wanted";
    return { providerId, status: "complained", reason: clean(said) };
  }
  return undefined;
}

function parsed(text: string): Static<typeof Report> | undefined {
  try {
    const report: unknown = JSON.parse(text);
    return Check(Report, report) ? report : undefined;
  } catch {
    // SES tries a topic out with a sentence.
    return undefined;
  }
}

const clean = (said: string): string => keptText(said, 500);

/** A second time, it changes nothing; neither does what is about no mail of ours. */
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
    log.info({ mail_id: mail.mail_id, status: returned.status }, "A mail came back");
  });
}

/** @returns undefined if it is none of the system's own, or it was heard of before. */
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
