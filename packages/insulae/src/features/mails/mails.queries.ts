import type { Kysely } from "kysely";
import type { ControlTables } from "../../kernel/database/control-tables.ts";
import type { Page } from "../../kernel/http/page.ts";

type Control = Kysely<ControlTables>;
type State = "waiting" | "sent" | "dropped" | "failed";

/** Newest first. */
export async function listMails(
  control: Control,
  { to, state }: { readonly to: string | undefined; readonly state: State | undefined },
  { limit, after, cursor }: Page,
) {
  let query = control
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
    ])
    .orderBy("mail.id", "desc")
    .limit(limit + 1);
  if (to !== undefined) query = query.where("mail.recipient", "=", to);
  if (state !== undefined) query = query.where("mail.state", "=", state);
  if (after[0] !== undefined) query = query.where("mail.id", "<", after[0]);
  const found = await query.execute();
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next_cursor: last && found.length > limit ? cursor.encode([last.id]) : null };
}

/** Those that are kept, newest first. */
export async function listCaptured(
  control: Control,
  channels: readonly ("email" | "sms" | "push")[],
  to: string | undefined,
) {
  let query = control
    .selectFrom("control.captured_messages")
    .select(["id", "channel", "tenant_id", "template", "recipient as to", "content", "created_at"])
    .where("channel", "in", channels)
    .orderBy("id", "desc")
    .limit(200);
  if (to !== undefined) query = query.where("recipient", "=", to);
  const found = await query.execute();
  return found.map(({ content, ...message }) => ({ ...message, ...content }));
}
