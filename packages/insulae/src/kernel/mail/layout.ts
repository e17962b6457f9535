/**
 * Lays out texts as an e-mail in the tenant's branding; the only place that escapes HTML. A link's
 * place in a text is an unguessable marker in a paragraph of its own, which is replaced by the link
 * here.
 */
import { randomUUID } from "node:crypto";
import { escapeHtml } from "../lib/html.ts";
import type { Tenant } from "../model/tenant.ts";
import { invalidTemplate, type Texts, type Values } from "./renderer.ts";
import type { Composed, MailTexts } from "./template.ts";

/** A paragraph, or a link, which becomes a button in HTML. */
export type Part = string | { readonly label: string; readonly url: string };

export interface Message {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** The branding of a tenant's or the platform's e-mails. */
export interface Brand {
  readonly name: string;
  readonly supportEmail: string | undefined;
  readonly logoUrl?: string | undefined;
  readonly color?: string | undefined;
  readonly footer?: string | undefined;
}

/** @param platform what a tenant's branding doesn't replace */
export function brandOf(
  tenant: Tenant | undefined,
  platform: Pick<Brand, "name" | "supportEmail">,
): Brand {
  const settings = tenant?.settings.branding;
  const given: Readonly<Record<string, unknown>> =
    typeof settings === "object" && settings !== null ? { ...settings } : {};
  const text = (name: string, pattern: RegExp) => {
    const value = given[name];
    return typeof value === "string" && pattern.test(value) ? value : undefined;
  };
  return {
    name: text("name", /\S/) ?? tenant?.name ?? platform.name,
    supportEmail: text("support_email", /^[^\s@<>]+@[^\s@<>]+$/) ?? platform.supportEmail,
    logoUrl: text("logo_url", /^https:\/\/[^\s"'<>]+$/),
    color: text("color", /^#[0-9a-f]{6}$/i),
    footer: text("footer", /\S/),
  };
}

/** The values available in every text. */
export const commonValues = ({ name, supportEmail }: Brand): Values => ({
  tenant: oneLine(name),
  support_email: supportEmail ?? "",
});

/**
 * @param links the labels of those composed values that are links
 * @throws invalidTemplate if a link isn't alone in its paragraph; and the errors of `Texts`
 */
export async function fillIn(
  texts: Texts,
  { subject, body }: MailTexts,
  {
    composed,
    links,
    brand,
  }: {
    readonly composed: Composed;
    readonly links: Readonly<Record<string, string>>;
    readonly brand: Brand;
  },
): Promise<{ readonly subject: string; readonly parts: readonly Part[] }> {
  const marks = new Map<string, Part>();
  const values = Object.entries(composed).map(([name, value = null]) => {
    const label = links[name];
    if (label === undefined || typeof value !== "string") {
      return [name, typeof value === "string" ? oneLine(value) : value] as const;
    }
    const mark = `link-${randomUUID()}`;
    marks.set(mark, { label, url: value });
    return [name, mark] as const;
  });
  const scope = { ...commonValues(brand), ...Object.fromEntries(values) };
  const [line, text] = await texts.render([{ source: subject }, { source: body }], scope);
  const parts = paragraphsOf(text).map((part) => marks.get(part) ?? part);
  const strays = [line, ...parts.filter((part) => typeof part === "string")];
  if ([...marks.keys()].some((mark) => strays.some((text) => text.includes(mark)))) {
    throw invalidTemplate({ detail: "A link must stand alone, between two empty lines." });
  }
  return { subject: oneLine(line), parts };
}

/** Splits at empty lines; single line breaks stay. */
export const paragraphsOf = (text: string): readonly string[] =>
  text
    .replaceAll(/\r\n?/g, "\n")
    .split(/\n[^\S\n]*\n/)
    .map(cleanLines)
    .filter((paragraph) => paragraph !== "");

const cleanLines = (paragraph: string): string =>
  paragraph
    .split("\n")
    .map(oneLine)
    .filter((line) => line !== "")
    .join("\n");

/** @param html HTML to use in place of the parts; it must be safe already */
export function layOut(
  { subject, parts }: { readonly subject: string; readonly parts: readonly Part[] },
  brand: Brand,
  html = parts.map((part) => asHtml(part, brand)).join(""),
): Message {
  const { name, supportEmail, logoUrl, footer } = brand;
  const signature = supportEmail ? `${name} · ${supportEmail}` : name;
  const closing = [...(footer ? [footer] : []), signature].map(oneLine);
  const logo = logoUrl
    ? `<p><img src="${escapeHtml(logoUrl)}" alt="${escapeHtml(oneLine(name))}" height="40"></p>`
    : "";
  return {
    subject: oneLine(subject),
    text: `${[...parts, ...closing].map(asText).join("\n\n")}\n`,
    html: `<!doctype html><html><body style="font-family:sans-serif;max-width:36em">${logo}${html}${closing
      .map((text) => asHtml(text, brand))
      .join("")}</body></html>`,
  };
}

const asText = (part: Part): string =>
  typeof part === "string" ? cleanLines(part) : `${oneLine(part.label)}:\n${part.url}`;

function asHtml(part: Part, { color }: Brand): string {
  if (typeof part === "string") {
    return `<p>${escapeHtml(cleanLines(part)).replaceAll("\n", "<br>")}</p>`;
  }
  const url = escapeHtml(part.url);
  const style = color ? ` style="color:${color}"` : "";
  return `<p><a href="${url}"${style}>${escapeHtml(oneLine(part.label))}</a></p><p style="font-size:smaller;word-break:break-all">${url}</p>`;
}

/** Removes control characters, which could start a header or hide text. */
export const oneLine = (text: string): string =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();
