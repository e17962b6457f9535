import { type Static, Type } from "typebox";
import type { TenantDatabase } from "../../kernel/data/tenant-database.ts";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { timestamp, uuid } from "../../kernel/feature/fields.ts";
import type { TenantJobs } from "../../kernel/jobs/jobs.ts";
import { serverBusy } from "../../kernel/lib/at-a-time.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import type { TenantMail } from "../../kernel/mail/mail.ts";
import { invalidTemplate, templateTooExpensive } from "../../kernel/mail/renderer.ts";
import { quotaExceeded } from "../../kernel/tenancy/plans.ts";
import { findUser } from "../users/users.feature.ts";
import { contentOf, fillInTexts, invalidContent, invalidVariables, valuesOf } from "./content.ts";
import { createNotification } from "./notifications.queries.ts";
import { PriorityName, StatusName, TemplateVars } from "./notifications.schemas.ts";
import type { Channel, Content, NotificationTables } from "./notifications.tables.ts";
import { findCanonicalRecipient } from "./recipient.ts";
import { sendNotification } from "./send.job.ts";
import { findTemplateByName } from "./templates.queries.ts";

export const invalidRecipient = defineError(
  "invalid_recipient",
  400,
  "The recipient is missing, given twice, or invalid for this channel. Give one valid recipient or user_id.",
);
export const unknownTemplate = defineError(
  "unknown_notification_template",
  400,
  "There is no active template with this name for this channel",
);
export const systemTemplate = defineError(
  "system_template",
  400,
  "The system sends mail from this template itself. Use a template of your own.",
);

const refusals = [
  quotaExceeded,
  invalidRecipient,
  invalidContent,
  unknownTemplate,
  systemTemplate,
  invalidVariables,
  invalidTemplate,
  templateTooExpensive,
  serverBusy,
] as const;

const Sent = Type.Object(
  { message_id: uuid, status: StatusName, created_at: timestamp },
  { $id: "SentNotification", description: "`message_id` is the notification's id in the history." },
);

const what = {
  template_name: Type.Optional(Type.String({ maxLength: 100 })),
  template_vars: Type.Optional(TemplateVars),
  priority: Type.Optional(PriorityName),
};
const text = (maxLength: number, description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }));
const user = Type.Optional(
  Type.String({ format: "uuid", description: "A user of the tenant, instead of `recipient`." }),
);
const EmailBody = Type.Object(
  {
    recipient: text(320, "An e-mail address."),
    user_id: user,
    ...what,
    subject: text(255, "Only without a template."),
    body: text(100_000, "Only without a template: text; blank lines separate paragraphs."),
    html: text(200_000, "Only without a template: HTML that you have sanitised."),
  },
  { $id: "EmailNotification" },
);
const SmsBody = Type.Object(
  {
    recipient: Type.String({
      maxLength: 40,
      description:
        "A telephone number in E.164 format; blanks, dots, hyphens and brackets are removed.",
      examples: ["+41791234567"],
    }),
    ...what,
    body: text(1_600, "Only without a template: the text."),
  },
  { $id: "SmsNotification" },
);
const PushBody = Type.Object(
  {
    recipient: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 2_000,
        pattern: "^[\\x21-\\x7e]+$",
        description: "A device token, in ASCII.",
      }),
    ),
    user_id: Type.Optional(
      Type.String({
        format: "uuid",
        description: "A user of the tenant, instead of `recipient`: pushes to all their browsers.",
      }),
    ),
    ...what,
    subject: text(200, "Only without a template: the title."),
    body: text(800, "Only without a template: the text."),
  },
  { $id: "PushNotification" },
);

type Wanted = Partial<Static<typeof EmailBody>>;

export const sendRoutes = (r: RouteBuilder<NotificationTables>) => [
  r.post(
    "/notifications/email",
    {
      permission: "notifications:send",
      audit: "notification.sent",
      summary: "Sends an e-mail, from a template or with the given text",
      description:
        "Queues the e-mail; it is sent at least once, and the history has its delivery status. Send an `Idempotency-Key` so that a repeated request does not send a second one.",
      body: EmailBody,
      response: { 201: Sent },
      errors: refusals,
    },
    async (context) => {
      const { recipient, user_id } = context.body;
      return send(context, "email", await emailOf(context.db, recipient, user_id));
    },
  ),

  r.post(
    "/notifications/sms",
    {
      permission: "notifications:send",
      audit: "notification.sent",
      summary: "Sends a text message, from a template or with the given text",
      body: SmsBody,
      response: { 201: Sent },
      errors: refusals,
    },
    (context) => {
      const { recipient } = context.body;
      return send(context, "sms", { recipient: canonical("sms", recipient), userId: undefined });
    },
  ),

  r.post(
    "/notifications/push",
    {
      permission: "notifications:send",
      audit: "notification.sent",
      summary: "Sends a push message to a device or to a user's browsers",
      body: PushBody,
      response: { 201: Sent },
      errors: refusals,
    },
    async (context) => {
      const { recipient, user_id } = context.body;
      if ((recipient === undefined) === (user_id === undefined)) throw invalidRecipient();
      if (user_id !== undefined) {
        if (!(await userOf(context.db, user_id))) throw invalidRecipient();
        return send(context, "push", { recipient: user_id, userId: user_id });
      }
      return send(context, "push", {
        recipient: canonical("push", recipient ?? ""),
        userId: undefined,
      });
    },
  ),
];

type Db = TenantDatabase<NotificationTables>;

interface To {
  readonly recipient: string;
  readonly userId: string | undefined;
}

interface Sending {
  readonly db: Db;
  readonly mail: TenantMail;
  readonly jobs: TenantJobs;
  readonly countUsage: (metric: "notifications") => void;
  readonly body: Wanted;
}

const userOf = (db: Db, id: string) => findUser.first(db.$pickTables<"users">(), { id });

async function emailOf(db: Db, given: string | undefined, userId: string | undefined): Promise<To> {
  if ((given === undefined) === (userId === undefined)) throw invalidRecipient();
  const found = userId === undefined ? undefined : await userOf(db, userId);
  return { recipient: canonical("email", given ?? found?.email ?? ""), userId };
}

/** @throws invalidRecipient */
function canonical(type: Channel, given: string): string {
  const recipient = findCanonicalRecipient(type, given);
  if (recipient === undefined) throw invalidRecipient();
  return recipient;
}

/** Inserts the notification and enqueues its job in one transaction. */
async function send({ db, mail, jobs, countUsage, body }: Sending, type: Channel, to: To) {
  const { template_name: templateName, priority = "normal" } = body;
  const content = await saying({ db, mail, body }, type);
  countUsage("notifications");
  return db.transaction().execute(async (tx) => {
    const made = await createNotification(tx, { type, ...to, templateName, priority, content });
    await jobs.send(sendNotification[priority], { notification_id: made.id }, { tx });
    return { message_id: made.id, status: made.status, created_at: made.created_at };
  });
}

async function saying(
  { db, mail, body: wanted }: Pick<Sending, "db" | "mail" | "body">,
  type: Channel,
): Promise<Content> {
  const { template_name: name, template_vars = {}, subject = null, body, html = null } = wanted;
  if (name === undefined) {
    if (Object.keys(template_vars).length > 0) throw unknownTemplate();
    return contentOf(mail, type, { subject, body: body ?? "", html });
  }
  if (subject !== null || body !== undefined || html !== null) {
    throw invalidContent({
      detail: "template_name cannot be combined with subject, body or html.",
    });
  }
  if (mail.templates.has(name)) throw systemTemplate();
  const template = await findTemplateByName.first(db, { name });
  if (!template?.is_active || template.type !== type) throw unknownTemplate();
  return fillInTexts(mail, type, template, valuesOf(template.variables, template_vars));
}
