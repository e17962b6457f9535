/**
 * What a mail says. A template composes it when it is sent, not when it is asked for: so a link's
 * token is made at the last moment and is never in the queue, and a request that asks for a mail
 * doesn't find out, and can't tell, whether there is anybody to write to.
 *
 * A template gives paragraphs and links; text and HTML are made of them here, so that there is one
 * place that escapes.
 */
import type { Platform } from "../platform.ts";
import type { Tenant } from "../tenancy/tenant.ts";

/** A paragraph, or a link that stands as a button in HTML. */
export type Part = string | { readonly label: string; readonly url: string };

export interface Content {
  readonly subject: string;
  readonly body: readonly Part[];
}

/** What a template has at hand when its mail is sent. */
export interface MailSetting {
  readonly to: string;
  /** The tenant that the mail is about. */
  readonly tenant: Tenant | undefined;
  readonly platform: Platform;
  /**
   * A page of the front end, from configuration (`APP_URL`).
   *
   * @example link("/verify-email", { token })
   */
  readonly link: (path: `/${string}`, query?: Readonly<Record<string, string>>) => string;
}

export interface MailTemplate<Variables> {
  readonly name: string;
  /** Undefined: there is nothing to send. What it throws is tried again later. */
  readonly compose: (
    variables: Variables,
    setting: MailSetting,
  ) => Content | undefined | Promise<Content | undefined>;
}

/** A template whose variables are known to nobody but its `send`. */
export type AnyMailTemplate = MailTemplate<never>;

/**
 * Defines a mail; the feature that it belongs to names it in `mails`.
 *
 * @param compose the variables come out of the queue as JSON.
 * @example
 * const welcomeMail = mailTemplate<{ plan: string }>("welcome", ({ plan }, { tenant, link }) => ({
 *   subject: `Welcome to ${tenant?.name}`,
 *   body: [`Your plan is ${plan}.`, { label: "Sign in", url: link("/login") }],
 * }));
 * await mail.send(welcomeMail, { to: "ada@example.org", variables: { plan: "free" } });
 */
export const mailTemplate = <Variables extends object>(
  name: string,
  compose: MailTemplate<Variables>["compose"],
): MailTemplate<Variables> => ({ name, compose });

export interface Message {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** @param from whose mail it is, and where to write to; the last line. */
export function render({ subject, body }: Content, from: string): Message {
  const parts = [...body, from];
  return {
    subject: oneLine(subject),
    text: `${parts.map(asText).join("\n\n")}\n`,
    html: `<!doctype html><html><body style="font-family:sans-serif;max-width:36em">${parts
      .map(asHtml)
      .join("")}</body></html>`,
  };
}

const asText = (part: Part): string =>
  typeof part === "string" ? oneLine(part) : `${oneLine(part.label)}:\n${part.url}`;

const asHtml = (part: Part): string =>
  typeof part === "string"
    ? `<p>${escapeHtml(oneLine(part))}</p>`
    : `<p><a href="${escapeHtml(part.url)}">${escapeHtml(oneLine(part.label))}</a></p><p style="font-size:smaller;word-break:break-all">${escapeHtml(part.url)}</p>`;

/** Control characters could begin a header, or hide what follows. */
const oneLine = (text: string): string =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
