import { isDeepStrictEqual } from "node:util";
import type { Kysely } from "kysely";
import { type Static, Type } from "typebox";
import type { TenantDatabase } from "../../kernel/data/tenant-database.ts";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, oneLine, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { serverBusy } from "../../kernel/lib/at-a-time.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import { refuseBeyond } from "../../kernel/lib/in-turn.ts";
import type { TenantMail } from "../../kernel/mail/mail.ts";
import { invalidTemplate, templateTooExpensive } from "../../kernel/mail/renderer.ts";
import { invalidContent } from "./content.ts";
import { ChannelName, DeclaredVariables, TemplateVars } from "./notifications.schemas.ts";
import type { NotificationTables } from "./notifications.tables.ts";
import { checkTemplate, preview, systemTemplateShape } from "./templates.check.ts";
import {
  createTemplate,
  deleteTemplate,
  findTemplate,
  listTemplates,
  lockTemplate,
  namesOfTemplates,
  updateTemplate,
} from "./templates.queries.ts";

export const templateNotFound = defineError(
  "notification_template_not_found",
  404,
  "There is no such template",
);
export const tooManyTemplates = defineError(
  "too_many_notification_templates",
  409,
  "A tenant can have at most 500 templates. Delete one first.",
);
const maxTemplates = 500;
export const templateNameTaken = defineError(
  "notification_template_name_taken",
  409,
  "Another template has this name. Choose another.",
);

const Subject = nullable(
  Type.String({
    minLength: 1,
    maxLength: 255,
    pattern: oneLine,
    description: "Liquid. An e-mail's subject or a push message's title; text messages have none.",
  }),
);
const Body = Type.String({
  minLength: 1,
  maxLength: 20_000,
  description: "Liquid. In an e-mail, blank lines separate paragraphs.",
});
const Html = nullable(
  Type.String({
    minLength: 1,
    maxLength: 50_000,
    description: "Liquid, with values escaped. For e-mails only; default: generated from the body.",
  }),
);
const Name = Type.String({
  pattern: "^[a-z][a-z0-9_]{0,99}$",
  description: "The name of a system e-mail, to override it, or any other name.",
  examples: ["order_shipped", "password_reset"],
});

const Template = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    type: ChannelName,
    subject: nullable(Type.String()),
    body: Type.String(),
    html: nullable(Type.String()),
    variables: DeclaredVariables,
    is_active: Type.Boolean(),
    created_at: timestamp,
    updated_at: timestamp,
  },
  { $id: "NotificationTemplate" },
);
const NewTemplate = Type.Object(
  {
    name: Name,
    type: ChannelName,
    subject: Type.Optional(Subject),
    body: Body,
    html: Type.Optional(Html),
    variables: Type.Optional(DeclaredVariables),
    is_active: Type.Optional(Type.Boolean()),
  },
  { $id: "NewNotificationTemplate" },
);
const TemplateChanges = Type.Object(
  {
    subject: Type.Optional(Subject),
    body: Type.Optional(Body),
    html: Type.Optional(Html),
    variables: Type.Optional(DeclaredVariables),
    is_active: Type.Optional(
      Type.Boolean({
        description: "Set it to false to use the system e-mail again that this template overrides.",
      }),
    ),
  },
  { $id: "NotificationTemplateChanges", minProperties: 1 },
);
const SystemTemplate = Type.Object(
  {
    name: Type.String(),
    about: Type.String({ description: "When it is sent." }),
    subject: Type.String(),
    body: Type.String(),
    values: Type.Record(Type.String(), Type.Unknown(), {
      description:
        "The variables that the texts may use besides `tenant` and `support_email`, with examples.",
    }),
    links: Type.Record(Type.String(), Type.String(), {
      description: "The links, each in a paragraph of its own, and their labels.",
    }),
    overridden: Type.Boolean({ description: "Whether the tenant has a template with this name." }),
  },
  { $id: "SystemTemplate" },
);
const Preview = Type.Object(
  {
    subject: Type.Optional(Type.String()),
    text: Type.String(),
    html: Type.Optional(Type.String()),
  },
  { $id: "NotificationPreview" },
);

const refusals = [
  ...[invalidTemplate, templateTooExpensive, invalidContent, systemTemplateShape],
  serverBusy,
] as const;

/**
 * Changes a template optimistically. The check renders the template, which may have to queue, so it
 * runs before the transaction. The transaction then verifies that the row is unchanged, and
 * otherwise the whole change is tried again.
 */
async function changeTemplate(
  { db, mail }: { readonly db: TenantDatabase<NotificationTables>; readonly mail: TenantMail },
  id: string,
  changes: Static<typeof TemplateChanges>,
) {
  const read = (from: Kysely<NotificationTables>) =>
    findTemplate.first(from, { id }).then(orThrow(templateNotFound));
  for (;;) {
    const found = await read(db);
    const { id: _id, created_at: _created, updated_at: _updated, ...values } = found;
    const template = { ...values, ...changes };
    await checkTemplate(mail, template);
    const changed = await db.transaction().execute(async (tx) => {
      await lockTemplate(tx, id);
      const same = isDeepStrictEqual(await read(tx), found);
      return same ? updateTemplate(tx, id, template) : undefined;
    });
    if (changed) return changed;
  }
}

export const templateRoutes = (r: RouteBuilder<NotificationTables>) => [
  r.get(
    "/notifications/templates",
    {
      permission: "notification-templates:read",
      summary: "Lists the tenant's templates, by name",
      query: pageQuery({ type: Type.Optional(ChannelName) }),
      response: pageOf(Template),
    },
    ({ db, query, page }) =>
      listTemplates.page(
        db,
        { type: query.type, after: page.after[0] },
        { limit: page.limit, cursor: page.cursor, key: ({ name }) => [name] },
      ),
  ),

  r.get(
    "/notifications/templates/system",
    {
      permission: "notification-templates:read",
      summary: "Lists the system e-mails",
      description:
        "A template with the same name overrides the e-mail's texts. Its links and recipients stay the system's.",
      response: Type.Object({ items: Type.Array(SystemTemplate) }),
    },
    async ({ db, mail }) => {
      const own = await namesOfTemplates(db);
      const items = [...mail.templates.values()].map(
        ({ name, about, subject, body, values, links }) => ({
          ...{ name, about, subject, body, values, links },
          overridden: own.has(name),
        }),
      );
      return { items: items.toSorted((one, other) => (one.name < other.name ? -1 : 1)) };
    },
  ),

  r.post(
    "/notifications/templates",
    {
      permission: "notification-templates:write",
      audit: "notification_template.created",
      summary: "Adds a template",
      description:
        "A template with the name of a system e-mail (`GET /notifications/templates/system`) overrides it.",
      body: NewTemplate,
      response: { 201: Template },
      errors: [...refusals, templateNameTaken, tooManyTemplates],
    },
    async ({ db, mail, body }) => {
      const { subject = null, html = null, variables = {}, is_active = true } = body;
      const { name, type, body: text } = body;
      const template = { name, type, subject, body: text, html, variables, is_active };
      await checkTemplate(mail, template);
      return db.transaction().execute(async (tx) => {
        await refuseBeyond(tx, "notification_templates", maxTemplates, tooManyTemplates);
        return createTemplate(tx, template);
      });
    },
  ),

  r.get(
    "/notifications/templates/:id",
    {
      permission: "notification-templates:read",
      summary: "Returns a template",
      params: idParams,
      response: Template,
      etag: "notification_templates",
      errors: [templateNotFound],
    },
    ({ db, params }) => findTemplate.json(db, params).then(orThrow(templateNotFound)),
  ),

  r.patch(
    "/notifications/templates/:id",
    {
      permission: "notification-templates:write",
      audit: "notification_template.changed",
      summary: "Changes a template",
      params: idParams,
      body: TemplateChanges,
      response: Template,
      errors: [templateNotFound, ...refusals],
    },
    ({ db, mail, params, body }) => changeTemplate({ db, mail }, params.id, body),
  ),

  r.delete(
    "/notifications/templates/:id",
    {
      permission: "notification-templates:write",
      audit: "notification_template.deleted",
      summary: "Deletes a template",
      params: idParams,
      response: { 204: null },
      errors: [templateNotFound],
    },
    async ({ db, params }) => {
      await deleteTemplate.first(db, params).then(orThrow(templateNotFound));
    },
  ),

  r.post(
    "/notifications/templates/:id/preview",
    {
      permission: "notification-templates:read",
      audit: { none: "nothing is stored or sent" },
      summary: "Previews a template with examples for missing values",
      description: "Accepts changed texts, so that they can be tried before they are saved.",
      params: idParams,
      body: Type.Object({
        subject: Type.Optional(Subject),
        body: Type.Optional(Body),
        html: Type.Optional(Html),
        template_vars: Type.Optional(TemplateVars),
      }),
      response: Preview,
      errors: [templateNotFound, ...refusals],
    },
    async ({ db, mail, params, body: { template_vars = {}, ...texts } }) => {
      const found = await findTemplate.first(db, params).then(orThrow(templateNotFound));
      return preview(mail, { ...found, ...texts }, template_vars);
    },
  ),
];
