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
    .selectFrom("control.mails")
    .select([
      "id",
      "tenant_id",
      "template",
      "recipient as to",
      "state",
      "attempts",
      "reason",
      "captured",
      "due_at",
      "created_at",
      "finished_at",
    ])
    .orderBy("id", "desc")
    .limit(limit + 1);
  if (to !== undefined) query = query.where("recipient", "=", to);
  if (state !== undefined) query = query.where("state", "=", state);
  if (after[0] !== undefined) query = query.where("id", "<", after[0]);
  const found = await query.execute();
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next_cursor: last && found.length > limit ? cursor.encode([last.id]) : null };
}

/** Those that are kept, newest first. */
export async function listCaptured(control: Control, to: string | undefined) {
  let query = control
    .selectFrom("control.mails")
    .select(["id", "template", "recipient as to", "captured", "created_at"])
    .where("captured", "is not", null)
    .orderBy("id", "desc")
    .limit(200);
  if (to !== undefined) query = query.where("recipient", "=", to);
  const found = await query.execute();
  return found.map(({ captured, ...mail }) => ({ ...mail, ...captured }));
}
