/**
 * Checks a template when it is saved, not when a message has to be sent.
 *
 * A system e-mail gets its values from the system. Its links are inserted afterwards as paragraphs
 * of their own, so the body must have a place for each of them, and nothing else may contain one.
 */
import { defineError } from "../../kernel/lib/errors.ts";
import { fillIn, layOut } from "../../kernel/mail/layout.ts";
import type { TenantMail } from "../../kernel/mail/mail.ts";
import { invalidTemplate, type Values } from "../../kernel/mail/renderer.ts";
import type { AnyMailTemplate } from "../../kernel/mail/template.ts";
import { contentOf, fillInTexts } from "./content.ts";
import type { Content, DeclaredVariables } from "./notifications.tables.ts";
import type { TemplateValues } from "./templates.queries.ts";

export const systemTemplateShape = defineError(
  "system_template_shape",
  400,
  "A system mail's template has a subject, a body and the system's variables. Leave out html and variables.",
);

const common = ["tenant", "support_email"];

/** @throws invalidContent, systemTemplateShape, and the errors of `Texts` */
export async function checkTemplate(mail: TenantMail, template: TemplateValues): Promise<void> {
  const { subject, body, html, type, variables } = template;
  const system = mail.templates.get(template.name);
  if (system && (type !== "email" || html !== null || Object.keys(variables).length > 0)) {
    throw systemTemplateShape();
  }
  const declared = new Set([
    ...common,
    ...Object.keys(variables),
    ...Object.keys(system?.values ?? {}),
    ...Object.keys(system?.links ?? {}),
  ]);
  const [inBody, ...others] = await mail.texts.variablesOf([body, subject ?? "", html ?? ""]);
  const used = new Set([...inBody, ...others.flat()]);
  const undeclared = [...used].filter((name) => !declared.has(name));
  if (undeclared.length > 0) {
    throw invalidTemplate({
      detail: `The template uses undeclared variables: ${undeclared.join(", ")}.`,
    });
  }
  const missing = Object.keys(system?.links ?? {}).filter((name) => !inBody.includes(name));
  if (missing.length > 0) {
    throw invalidTemplate({
      detail: `The template must contain these links: ${missing.join(", ")}.`,
    });
  }
  await preview(mail, template, {});
}

/** Renders the template with examples for missing values. @throws the errors of `checkTemplate` */
export async function preview(
  mail: TenantMail,
  { name, type, subject, body, html, variables }: TemplateValues,
  given: Values,
): Promise<Content> {
  const system = mail.templates.get(name);
  if (!system) {
    return fillInTexts(mail, type, { subject, body, html }, { ...examplesOf(variables), ...given });
  }
  if (subject === null) throw systemTemplateShape();
  const filled = await fillInSystem(mail, system, { subject, body }, given);
  // The limits of all e-mails apply.
  contentOf(mail, "email", { subject: filled.subject, body: "-", html: null });
  return layOut(filled, mail.brand);
}

/** A system e-mail with example values, and links that lead nowhere. */
const fillInSystem = async (
  mail: TenantMail,
  { values, links }: AnyMailTemplate,
  texts: { readonly subject: string; readonly body: string },
  given: Values,
) => {
  const known = Object.entries(given).filter(([name]) => Object.hasOwn(values, name));
  const examples = Object.keys(links).map((name) => [name, `https://example.com/${name}`] as const);
  return fillIn(mail.texts, texts, {
    composed: { ...values, ...Object.fromEntries(known), ...Object.fromEntries(examples) },
    links,
    brand: mail.brand,
  });
};

const examplesOf = (variables: DeclaredVariables): Values =>
  Object.fromEntries(
    Object.entries(variables).map(([name, { example, default: usual }]) => [
      name,
      example ?? usual ?? name,
    ]),
  );
