import { type Kysely, type Selectable, sql } from "kysely";
import { given, type Params, statement } from "../../kernel/data/statement.ts";
import type {
  Channel,
  Content,
  NotificationTables,
  Priority,
  Status,
} from "./notifications.tables.ts";

type Db = Kysely<NotificationTables>;
export type Notification = Selectable<NotificationTables["notifications"]>;

const columns = [
  "id",
  "type",
  "recipient",
  "user_id",
  "template_name",
  "subject",
  "priority",
  "status",
  "attempts",
  "error_message",
  "sent_at",
  "created_at",
] as const;

interface Filter {
  readonly type?: string | undefined;
  readonly status?: string | undefined;
  readonly recipients?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly template?: string | undefined;
  readonly from?: string | undefined;
  readonly until?: string | undefined;
}

export const listNotifications = statement(
  (db: Db, p: Params<Filter & { limit: number; after?: string | undefined }>) => {
    let query = db.selectFrom("notifications").select(columns).orderBy("id", "desc").limit(p.limit);
    if (given(p.type)) query = query.where("type", "=", sql<Channel>`${p.type}`);
    if (given(p.status)) query = query.where("status", "=", sql<Status>`${p.status}`);
    if (given(p.recipients)) {
      query = query.where("recipient", "=", sql<string>`any(${p.recipients}::text[])`);
    }
    if (given(p.user)) query = query.where("user_id", "=", p.user);
    if (given(p.template)) query = query.where("template_name", "=", p.template);
    if (given(p.from)) {
      query = query.where("created_at", ">=", sql<Date>`${p.from}::timestamptz`);
    }
    if (given(p.until)) {
      query = query.where("created_at", "<", sql<Date>`${p.until}::timestamptz`);
    }
    return given(p.after) ? query.where("id", "<", p.after) : query;
  },
);

export const findNotification = statement((db: Db, p: Params<{ id: string }>) =>
  db.selectFrom("notifications").select(columns).where("id", "=", p.id),
);

/** A notification with its content, for sending. */
export const findToSend = (db: Db, id: string): Promise<Notification | undefined> =>
  db
    .selectFrom("notifications")
    .select([...columns, "content", "delivered"])
    .where("id", "=", id)
    .executeTakeFirst();

export interface NewNotification {
  readonly type: Channel;
  readonly recipient: string;
  readonly userId: string | undefined;
  readonly templateName: string | undefined;
  readonly priority: Priority;
  readonly content: Content;
}

export const createNotification = (db: Db, one: NewNotification) =>
  db
    .insertInto("notifications")
    .values({
      type: one.type,
      recipient: one.recipient,
      user_id: one.userId ?? null,
      template_name: one.templateName ?? null,
      subject: one.content.subject ?? null,
      priority: one.priority,
      content: JSON.stringify(one.content),
    })
    .returning(columns)
    .executeTakeFirstOrThrow();

/** Queues a notification that was not sent. @returns undefined if there is none */
export const requeue = (db: Db, id: string) =>
  db
    .updateTable("notifications")
    .set({ status: "queued", error_message: null, attempts: 0 })
    .where("id", "=", id)
    .where("status", "in", ["failed", "suppressed"])
    .returning(columns)
    .executeTakeFirst();

const waiting = (db: Db, id: string) =>
  db.updateTable("notifications").where("id", "=", id).where("status", "=", "queued");

/** Sets the final status. Content is kept only while the notification can be sent again. */
export const finish = (db: Db, id: string, status: Exclude<Status, "queued">, reason?: string) =>
  waiting(db, id)
    .set((eb) => ({
      status,
      attempts: eb("attempts", "+", 1),
      error_message: reason ?? null,
      ...(status === "sent" && { content: null, sent_at: sql<Date>`now()` }),
    }))
    .execute();

/**
 * Records a bounce or complaint, which may arrive even before `sent` is recorded.
 *
 * @returns undefined if there is no such notification or it was reported before
 */
export const noteReturned = (
  db: Db,
  id: string,
  { status, reason }: { readonly status: "bounced" | "complained"; readonly reason: string },
) =>
  db
    .updateTable("notifications")
    .set({ status, error_message: reason, content: null })
    .where("id", "=", id)
    .where("type", "=", "email")
    .where("status", "in", ["queued", "sent"])
    .returning("recipient")
    .executeTakeFirst();

export const noteFailure = (db: Db, id: string, reason: string) =>
  waiting(db, id)
    .set((eb) => ({ attempts: eb("attempts", "+", 1), error_message: reason }))
    .execute();

export const noteDelivered = (db: Db, id: string, subscription: string) =>
  waiting(db, id)
    .set({ delivered: sql<string[]>`array_append(delivered, ${subscription}::uuid)` })
    .execute();
