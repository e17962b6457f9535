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
    description: "In Liquid. An e-mail's subject, a push's title; a text message has none.",
  }),
);
const Body = Type.String({
  minLength: 1,
  maxLength: 20_000,
  description: "In Liquid. An e-mail's is paragraphs, with empty lines between.",
});
const Html = nullable(
  Type.String({
    minLength: 1,
    maxLength: 50_000,
    description: "In Liquid, in which values are text. Of an e-mail; default: made of the body.",
  }),
);
const Name = Type.String({
  pattern: "^[a-z][a-z0-9_]{0,99}$",
  description: "One of the system's own mails, to be overridden, or any other.",
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
      Type.Boolean({ description: "Of one of the system's own mails: false brings that back." }),
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
      description: "What the texts may name, beside `tenant` and `support_email`, with examples.",
    }),
    links: Type.Record(Type.String(), Type.String(), {
      description: "The links, each of which has a paragraph of its own, and what stands on them.",
    }),
    overridden: Type.Boolean({ description: "Whether the tenant has a template of this name." }),
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
 * The check waits for the tenant's turn, so it comes before the transaction, which makes sure that what
 * was checked is still there. If it isn't, somebody else's change was made meanwhile.
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
      summary: "Lists the mails that the system sends by itself",
      description:
        "A template of the same name takes a mail's place. Its links and who gets it stay the system's.",
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
        "A template of the name of one of the system's mails (`GET /notifications/templates/system`) takes its place.",
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
      summary: "Shows a template",
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
      audit: { none: "nothing is kept or sent" },
      summary: "Shows what a template makes, with examples for what is not given",
      description: "Other texts can be tried before they are saved.",
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
