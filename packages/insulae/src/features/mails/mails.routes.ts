import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, mediaText, nullable, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import type { Platform } from "../../kernel/feature/platform.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import { findCanonicalEmail } from "../../kernel/validation/email.ts";
import { findCapturedHtml, findMail, listCaptured, newestMails } from "./mails.queries.ts";

const captured = {
  subject: Type.String(),
  text: Type.String(),
  html: Type.String(),
};

const State = Type.Union(
  [Type.Literal("waiting"), Type.Literal("sent"), Type.Literal("dropped"), Type.Literal("failed")],
  {
    description: "dropped: there was nothing to send, for example because nobody has this address.",
  },
);

const Mail = Type.Object(
  {
    id: uuid,
    tenant_id: nullable(uuid),
    template: Type.String(),
    to: Type.String(),
    state: State,
    attempts: Type.Integer(),
    reason: nullable(Type.String({ description: "Why the last attempt failed." })),
    due_at: timestamp,
    created_at: timestamp,
    finished_at: nullable(timestamp),
    captured: nullable(Type.Object(captured)),
  },
  { $id: "Mail" },
);

const capturedMessage = {
  id: uuid,
  tenant_id: nullable(uuid),
  template: nullable(Type.String()),
  to: Type.String(),
  created_at: timestamp,
};
const CapturedMail = Type.Object({ ...capturedMessage, ...captured }, { $id: "CapturedMail" });
const CapturedMessage = Type.Object(
  {
    ...capturedMessage,
    channel: Type.Union([Type.Literal("sms"), Type.Literal("push")]),
    title: Type.Optional(Type.String({ description: "A push's." })),
    text: Type.String(),
  },
  { $id: "CapturedMessage" },
);

const recipient = Type.Optional(
  Type.String({ maxLength: 254, description: "Only e-mails to this address." }),
);

// Text that is not an e-mail address matches nothing.
const addressOf = (to: string | undefined) =>
  to === undefined ? undefined : (findCanonicalEmail(to) ?? "");

export const mailNotFound = defineError("mail_not_found", 404, "There is no such e-mail");
export const mailNotCaptured = defineError(
  "mail_not_captured",
  404,
  "There is no captured e-mail with this id. Contents are kept only where e-mails are captured (`MAIL=capture`).",
);

const preview = mediaText("text/html");

/** Whatever the mail contains: it runs nothing, loads nothing, leads nowhere, and has an origin of its own. */
const previewPolicy = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
  "sandbox",
].join("; ");

async function showPreview({ platform, params, header }: PreviewContext): Promise<string> {
  const html = await findCapturedHtml(platform.control, params.id);
  if (html === undefined) throw mailNotCaptured();
  header("content-type", "text/html; charset=utf-8");
  header("content-security-policy", previewPolicy);
  return html;
}

interface PreviewContext {
  readonly platform: Pick<Platform, "control">;
  readonly params: { readonly id: string };
  readonly header: (name: string, value: string) => void;
}

export const mailRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/mails",
    {
      permission: "platform",
      context: "core",
      summary: "Lists e-mails and their delivery status, newest first",
      description: "Includes the text if e-mails are captured instead of sent.",
      query: pageQuery({ to: recipient, state: Type.Optional(State) }),
      response: pageOf(Mail),
    },
    ({ platform, query, page }) =>
      newestMails.page(
        platform.control,
        { to: addressOf(query.to), state: query.state, before: page.after[0] },
        { limit: page.limit, cursor: page.cursor, key: ({ id }) => [id] },
      ),
  ),

  r.get(
    "/mails/:id",
    {
      permission: "platform",
      context: "core",
      summary: "Returns an e-mail and its delivery status",
      params: idParams,
      response: Mail,
      errors: [mailNotFound],
    },
    ({ platform, params }) => findMail.json(platform.control, params).then(orThrow(mailNotFound)),
  ),

  r.get(
    "/mails/:id/preview",
    {
      permission: "platform",
      context: "core",
      summary: "Returns the HTML of a captured e-mail, for a sandboxed frame",
      params: idParams,
      response: preview,
      errors: [mailNotCaptured],
    },
    showPreview,
  ),
];

export const capturedMailRoutes = (r: RouteBuilder<Record<never, never>>) => [
  r.get(
    "/dev/mails",
    {
      permission: "public",
      context: "core",
      summary: "Lists the newest captured e-mails (not in production)",
      description:
        "Without a mail server, e-mails are not sent. The newest 200 are kept and listed here.",
      query: Type.Object({ to: recipient }),
      response: Type.Object({ items: Type.Array(CapturedMail) }),
    },
    async ({ platform, query }) => ({
      items: await listCaptured(platform.control, ["email"], addressOf(query.to)),
    }),
  ),
  r.get(
    "/dev/mails/:id/preview",
    {
      permission: "public",
      context: "core",
      summary: "Returns the HTML of a captured e-mail, for a sandboxed frame (not in production)",
      params: idParams,
      response: preview,
      errors: [mailNotCaptured],
    },
    showPreview,
  ),
  r.get(
    "/dev/messages",
    {
      permission: "public",
      context: "core",
      summary: "Lists the newest captured text messages and push messages (not in production)",
      description:
        "Without a driver, messages are not sent. The newest 200 of each kind are kept and listed here. `to` is a phone number, a device token or a browser's endpoint.",
      query: Type.Object({ to: Type.Optional(Type.String({ maxLength: 2048 })) }),
      response: Type.Object({ items: Type.Array(CapturedMessage) }),
    },
    async ({ platform, query }) => ({
      items: await listCaptured(platform.control, ["sms", "push"], query.to?.trim()),
    }),
  ),
];
