import { describeValue, hint, refuse } from "../lib/declaration-error.ts";
import type { Composed, MailDescription, MailTemplate } from "../mail/template.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Platform } from "./platform.ts";

/** What a template can use when its e-mail is sent. */
export interface MailInput {
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

export type ComposeMail<Variables> = (
  variables: Variables,
  input: MailInput,
) => Composed | undefined | Promise<Composed | undefined>;

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
  compose: ComposeMail<Variables>,
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
