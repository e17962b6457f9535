/** Renders a notification's content from texts and values. */
import { defineError } from "../../kernel/lib/errors.ts";
import { isLonger } from "../../kernel/lib/text.ts";
import { commonValues, layOut, paragraphsOf } from "../../kernel/mail/layout.ts";
import type { TenantMail } from "../../kernel/mail/mail.ts";
import type { Values } from "../../kernel/mail/renderer.ts";
import type { Channel, Content, DeclaredVariables } from "./notifications.tables.ts";

export const invalidContent = defineError(
  "invalid_content",
  400,
  "The message is empty, too long, or has a subject of more than one line. Shorten or correct it.",
);
export const invalidVariables = defineError(
  "invalid_template_vars",
  400,
  "template_vars does not match the variables that the template declares",
);

export interface Texts {
  readonly subject: string | null;
  readonly body: string;
  readonly html: string | null;
}

const longest: Readonly<Record<Channel, { readonly subject: number; readonly text: number }>> = {
  email: { subject: 255, text: 100_000 },
  sms: { subject: 0, text: 1_600 },
  push: { subject: 200, text: 800 },
};

/** Push services accept 4,096 bytes, encrypted (RFC 8291); the rest is our overhead. */
const pushBytes = 3_600;

/** A template's values: those given, with the declared defaults for the rest. */
export function valuesOf(declared: DeclaredVariables, given: Values): Values {
  const errors = [
    ...Object.keys(given)
      .filter((name) => !Object.hasOwn(declared, name))
      .map((name) => ({ name, message: "The template does not declare this variable" })),
    ...Object.entries(declared)
      .filter(([name, { default: usual }]) => usual === undefined && !Object.hasOwn(given, name))
      .map(([name]) => ({ name, message: "The template requires a value" })),
  ];
  if (errors.length > 0) {
    throw invalidVariables({
      errors: errors.map(({ name, message }) => ({
        pointer: `/body/template_vars/${name}`,
        message,
      })),
    });
  }
  const usual = Object.entries(declared).flatMap(([name, variable]) =>
    variable.default === undefined ? [] : [[name, variable.default] as const],
  );
  return { ...Object.fromEntries(usual), ...given };
}

/** @throws invalidContent, and the errors of `Texts` */
export async function fillInTexts(
  mail: TenantMail,
  channel: Channel,
  { subject, body, html }: Texts,
  values: Values,
): Promise<Content> {
  const scope = { ...commonValues(mail.brand), ...values };
  const texts = [{ source: subject ?? "" }, { source: body }, { source: html ?? "", html: true }];
  const [line = "", text = "", page = ""] = await mail.texts.render(texts, scope);
  return contentOf(mail, channel, {
    subject: subject === null ? null : line,
    body: text,
    html: html === null ? null : page,
  });
}

/** The content of texts without variables. @throws invalidContent */
export function contentOf(
  { brand }: TenantMail,
  channel: Channel,
  { subject, body, html }: Texts,
): Content {
  const line = subject?.trim() ?? "";
  const text = body.trim();
  const limits = longest[channel];
  const fits =
    text.length > 0 &&
    !isLonger(text, limits.text) &&
    !isLonger(line, limits.subject) &&
    (channel !== "push" || Buffer.byteLength(line) + Buffer.byteLength(text) <= pushBytes) &&
    (line.length > 0 || limits.subject === 0) &&
    (html === null || channel === "email");
  // Line breaks would allow header injection.
  if (!fits || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(line)) throw invalidContent();
  if (channel === "sms") return { text };
  if (channel === "push") return { subject: line, text };
  return layOut({ subject: line, parts: paragraphsOf(text) }, brand, html ?? undefined);
}
