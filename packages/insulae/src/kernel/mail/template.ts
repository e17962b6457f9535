/**
 * E-mail templates. Texts refer to values and links, which are computed when the e-mail is sent,
 * not when it is requested: a link's token is created at the last moment and never stored in the
 * queue, and a request that triggers an e-mail can't find out or reveal whether the address belongs
 * to anybody.
 *
 * A tenant may override the texts. A text contains only the place of a link, which is inserted
 * afterwards (`layout.ts`), so no text can leak a link's token elsewhere.
 */

import type { Platform } from "../feature/platform.ts";
import { describeValue, hint, refuse } from "../lib/declaration-error.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Values } from "./renderer.ts";

/** A subject and paragraphs in Liquid. An empty line ends a paragraph; single line breaks stay. */
export interface MailTexts {
  readonly subject: string;
  readonly body: string;
}

/** What a template can use when its e-mail is sent. */
export interface MailSetting {
  readonly to: string;
  /** The tenant that the mail is about. */
  readonly tenant: Tenant | undefined;
  readonly platform: Platform;
  /**
   * The URL of a page of the front end, from configuration (`APP_URL`). Without a query it gets the
   * tenant.
   *
   * @example link("/verify-email", { token })
   */
  readonly link: (path: `/${string}`, query?: Readonly<Record<string, string>>) => string;
}

export interface MailDescription {
  /** Lower case, with underscores. A tenant overrides the template by this name. */
  readonly name: string;
  /** When it is sent, in a few words. */
  readonly about: string;
  readonly subject: string;
  /** Paragraphs. A link must be alone in one. */
  readonly body: readonly string[];
  /**
   * The values that the texts may use besides `tenant` and `support_email`, each with an example.
   */
  readonly values?: Values;
  /** The links that the texts may use, and their labels. */
  readonly links?: Readonly<Record<string, string>>;
}

/** The values and the links' URLs of an e-mail. Links may be left out. */
export type Composed = Readonly<Record<string, Values[string] | undefined>>;

export interface MailTemplate<Variables> extends Required<Omit<MailDescription, "body">> {
  readonly body: string;
  /** Returns undefined if there is nothing to send. If it throws, sending is retried later. */
  readonly compose: (
    variables: Variables,
    setting: MailSetting,
  ) => Composed | undefined | Promise<Composed | undefined>;
}

/** A template whose variables only its sender knows. */
export type AnyMailTemplate = MailTemplate<never>;

/**
 * Defines an e-mail. Its feature lists it in `mails`.
 *
 * @throws DeclarationError if a text uses an undeclared value
 * @param compose receives the variables as parsed from JSON
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

/**
 * The values that a text uses. Texts with tags (`{% for … %}`) are skipped: tags may define names.
 */
const namesIn = (text: string): readonly string[] =>
  text.includes("{%") ? [] : [...text.matchAll(/\{\{-?\s*(\w+)/g)].map(([, name = ""]) => name);
