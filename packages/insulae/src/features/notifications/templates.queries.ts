import { type Kysely, type Selectable, sql } from "kysely";
import { given, type Params, statement } from "../../kernel/data/statement.ts";
import type { MailTexts } from "../../kernel/mail/template.ts";
import type {
  Channel,
  DeclaredVariables,
  NotificationTables,
  TemplateTable,
} from "./notifications.tables.ts";

type Db = Kysely<NotificationTables>;
export type Template = Selectable<TemplateTable>;

const columns = [
  "id",
  "name",
  "type",
  "subject",
  "body",
  "html",
  "variables",
  "is_active",
  "created_at",
  "updated_at",
] as const;

export const listTemplates = statement(
  (db: Db, p: Params<{ type?: string | undefined; limit: number; after?: string | undefined }>) => {
    let query = db.selectFrom("notification_templates").select(columns);
    if (given(p.type)) query = query.where("type", "=", sql<Channel>`${p.type}`);
    if (given(p.after)) query = query.where("name", ">", p.after);
    return query.orderBy("name").limit(p.limit);
  },
);

export const findTemplate = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("notification_templates").select(columns).where("id", "=", p.id),
);

export const findTemplateByName = statement((db: Db, p: Params<{ name: string }>) =>
  db.selectFrom("notification_templates").select(columns).where("name", "=", p.name),
);

export const namesOfTemplates = async (db: Db): Promise<ReadonlySet<string>> => {
  const rows = await db
    .selectFrom("notification_templates")
    .select("name")
    .where("is_active", "=", true)
    .execute();
  return new Set(rows.map(({ name }) => name));
};

/** A tenant's own texts for a system e-mail. */
export async function findOwnTexts(db: Db, name: string): Promise<MailTexts | undefined> {
  const found = await findTemplateByName.first(db, { name });
  if (!found?.is_active || found.subject === null) return undefined;
  return { subject: found.subject, body: found.body };
}

export interface TemplateValues
  extends Pick<Template, "name" | "type" | "subject" | "body" | "html" | "is_active"> {
  readonly variables: DeclaredVariables;
}

export const createTemplate = (db: Db, { variables, ...values }: TemplateValues) =>
  db
    .insertInto("notification_templates")
    .values({ ...values, variables: JSON.stringify(variables) })
    .returning(columns)
    .executeTakeFirstOrThrow();

export const lockTemplate = (tx: Db, id: string) =>
  tx.selectFrom("notification_templates").select("id").where("id", "=", id).forUpdate().execute();

export const updateTemplate = (db: Db, id: string, { variables, ...values }: TemplateValues) =>
  db
    .updateTable("notification_templates")
    .set({ ...values, variables: JSON.stringify(variables) })
    .where("id", "=", id)
    .returning(columns)
    .executeTakeFirst();

export const deleteTemplate = statement((db: Db, p: Params<{ id: string }>) =>
  db.deleteFrom("notification_templates").where("id", "=", p.id).returning("name"),
);
