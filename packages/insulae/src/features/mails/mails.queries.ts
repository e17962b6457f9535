import { type Kysely, type Selectable, sql } from "kysely";
import { given, type JsonRow, type Params, statement } from "../../kernel/data/statement.ts";
import type { ControlTables } from "../../kernel/schema/control-tables.ts";

type Control = Kysely<ControlTables>;
type State = "waiting" | "sent" | "dropped" | "failed";
type CapturedRow = JsonRow<
  Omit<Selectable<ControlTables["control.captured_messages"]>, "recipient"> & { to: string }
>;
type Channel = CapturedRow["channel"];

const mailRows = (control: Control) =>
  control
    .selectFrom("control.mails as mail")
    .leftJoin("control.captured_messages as captured", "captured.id", "mail.id")
    .select([
      "mail.id",
      "mail.tenant_id",
      "mail.template",
      "mail.recipient as to",
      "mail.state",
      "mail.attempts",
      "mail.reason",
      "captured.content as captured",
      "mail.due_at",
      "mail.created_at",
      "mail.finished_at",
    ]);

export const findMail = statement((control: Control, p: Params<{ id: string }>) =>
  mailRows(control).where("mail.id", "=", p.id),
);

/** The HTML of a captured e-mail. */
export async function findCapturedHtml(control: Control, id: string): Promise<string | undefined> {
  const found = await control
    .selectFrom("control.captured_messages")
    .select("content")
    .where("id", "=", id)
    .where("channel", "=", "email")
    .executeTakeFirst();
  return found?.content.html;
}

/** One page, newest first. */
export const newestMails = statement(
  (
    control: Control,
    p: Params<{
      to?: string | undefined;
      state?: State | undefined;
      before?: string | undefined;
      limit: number;
    }>,
  ) => {
    let query = mailRows(control).orderBy("mail.id", "desc").limit(p.limit);
    if (given(p.to)) query = query.where("mail.recipient", "=", p.to);
    if (given(p.state)) query = query.where("mail.state", "=", p.state);
    if (given(p.before)) query = query.where("mail.id", "<", p.before);
    return query;
  },
);

const newestCaptured = statement(
  (
    control: Control,
    p: Params<{ channels: readonly Channel[]; to?: string | undefined; limit: number }>,
  ) => {
    let query = control
      .selectFrom("control.captured_messages")
      .select([
        "id",
        "channel",
        "tenant_id",
        "template",
        "recipient as to",
        "content",
        "created_at",
      ])
      .where(sql<boolean>`channel = any(${p.channels}::text[])`)
      .orderBy("id", "desc")
      .limit(p.limit);
    if (given(p.to)) query = query.where("recipient", "=", p.to);
    return query;
  },
);

/** The captured messages, newest first. They are few enough for one page. */
export async function listCaptured<C extends Channel>(
  control: Control,
  channels: readonly C[],
  to: string | undefined,
) {
  const { items } = await newestCaptured.part(control, { channels, to, limit: 200 });
  // The statement's rows, restricted to the requested channels.
  const found = JSON.parse(`[${items}]`) as (CapturedRow & { readonly channel: C })[];
  return found.map(({ content, ...message }) => ({ ...message, ...content }));
}
