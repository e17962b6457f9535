/**
 * What a mail says. Its texts name values and links; the values are found when the mail is sent, not
 * when it is asked for: so a link's token is made at the last moment and is never in the queue, and a
 * request that asks for a mail doesn't find out, and can't tell, whether there is anybody to write to.
 *
 * A tenant may have texts of its own. A text never holds a link, only the place of one: what is put
 * there is made afterwards (`layout.ts`), so no text can carry a link's token anywhere else.
 */

import type { Platform } from "../feature/platform.ts";
import { describeValue, hint, refuse } from "../lib/declaration-error.ts";
import type { Tenant } from "../tenancy/tenant.ts";
import type { Values } from "./renderer.ts";

/** A subject and paragraphs, in Liquid; an empty line ends a paragraph, a single line end stays. */
export interface MailTexts {
  readonly subject: string;
  readonly body: string;
}

/** What a template has at hand when its mail is sent. */
export interface MailSetting {
  readonly to: string;
  /** The tenant that the mail is about. */
  readonly tenant: Tenant | undefined;
  readonly platform: Platform;
  /**
   * A page of the front end, from configuration (`APP_URL`). Without a query it is told which tenant it is about.
   *
   * @example link("/verify-email", { token })
   */
  readonly link: (path: `/${string}`, query?: Readonly<Record<string, string>>) => string;
}

export interface MailDescription {
  /** Lower case, with underscores; a tenant overrides it by this name. */
  readonly name: string;
  /** When it is sent, in a few words. */
  readonly about: string;
  readonly subject: string;
  /** Paragraphs. A link stands alone in one. */
  readonly body: readonly string[];
  /** The values that the texts may name, beside `tenant` and `support_email`, each with an example. */
  readonly values?: Values;
  /** The links that the texts may name, and what is written on each. */
  readonly links?: Readonly<Record<string, string>>;
}

/** What a mail is made of: its values, and its links' addresses; a link may be left out. */
export type Composed = Readonly<Record<string, Values[string] | undefined>>;

export interface MailTemplate<Variables> extends Required<Omit<MailDescription, "body">> {
  readonly body: string;
  /** Undefined: there is nothing to send. What it throws is tried again later. */
  readonly compose: (
    variables: Variables,
    setting: MailSetting,
  ) => Composed | undefined | Promise<Composed | undefined>;
}

/** A template whose variables are known to nobody but its `send`. */
export type AnyMailTemplate = MailTemplate<never>;

/**
 * Defines a mail; the feature that it belongs to names it in `mails`.
 *
 * @throws DeclarationError if a text names a value that isn't described
 * @param compose the variables come out of the queue as JSON.
 * @example
 * const planMail = mailTemplate<{ plan: string }>(
 *   {
 *     name: "plan_changed",
 *     about: "After a change of plan",
 *     subject: "{{ tenant }}: your new plan",
 *     body: ["Your plan is {{ plan }} from now on.", "{{ link }}"],
 *     values: { plan: "free" },
 *     links: { link: "Sign in" },
 *   },
 *   ({ plan }, { link }) => ({ plan, link: link("/login") }),
 * );
 * await mail.send(planMail, { to: "ada@example.org", variables: { plan: "free" } });
 */
export function mailTemplate<Variables extends object>(
  { body: paragraphs, values = {}, links = {}, ...description }: MailDescription,
  compose: MailTemplate<Variables>["compose"],
): MailTemplate<Variables> {
  const body = paragraphs.join("\n\n");
  const { name, subject } = description;
  const known = [...Object.keys(values), ...Object.keys(links), "tenant", "support_email"];
  const problems = [
    ...(/^[a-z][a-z0-9_]*$/.test(name) ? [] : ["use a name in lower case with underscores"]),
    ...(subject.trim() === "" ? ["give it a subject"] : []),
    ...(typeof compose === "function" ? [] : [`compose is ${describeValue(compose)}`]),
    ...namesIn(`${subject} ${body}`)
      .filter((each) => !known.includes(each))
      .map((each) => `{{ ${each} }} is neither in its values nor in its links${hint(each, known)}`),
  ];
  refuse(problems.map((problem) => `mail ${name}: ${problem}`));
  return { ...description, body, values, links, compose };
}

/** The values that a text names. One with tags (`{% for … %}`) may make names of its own: those are left out. */
const namesIn = (text: string): readonly string[] =>
  text.includes("{%") ? [] : [...text.matchAll(/\{\{-?\s*(\w+)/g)].map(([, name = ""]) => name);
