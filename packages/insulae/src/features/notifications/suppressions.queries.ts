import { type Kysely, sql } from "kysely";
import { given, type Params, statement } from "../../kernel/data/statement.ts";
import type { Channel, NotificationTables, SuppressionTable } from "./notifications.tables.ts";

type Db = Kysely<NotificationTables>;

const columns = ["id", "type", "recipient", "reason", "detail", "created_at"] as const;

export const listSuppressions = statement(
  (
    db: Db,
    p: Params<{
      type?: string | undefined;
      recipients?: readonly string[] | undefined;
      limit: number;
      after?: string | undefined;
    }>,
  ) => {
    let query = db.selectFrom("notification_suppressions").select(columns);
    if (given(p.type)) query = query.where("type", "=", sql<Channel>`${p.type}`);
    if (given(p.recipients)) {
      query = query.where("recipient", "=", sql<string>`any(${p.recipients}::text[])`);
    }
    if (given(p.after)) query = query.where("id", "<", p.after);
    return query.orderBy("id", "desc").limit(p.limit);
  },
);

type NewSuppression = Pick<SuppressionTable, "type" | "recipient" | "reason" | "detail">;

export const addSuppression = (db: Db, one: NewSuppression) =>
  db
    .insertInto("notification_suppressions")
    .values(one)
    .returning(columns)
    .executeTakeFirstOrThrow();

/** Suppresses an address that a driver reported. An existing entry stays as it is. */
export const noteSuppression = (db: Db, one: NewSuppression) =>
  db
    .insertInto("notification_suppressions")
    .values(one)
    .onConflict((conflict) => conflict.doNothing())
    .execute();

export const findSuppression = (db: Db, type: Channel, recipient: string) =>
  db
    .selectFrom("notification_suppressions")
    .select("reason")
    .where("type", "=", type)
    .where("recipient", "=", recipient)
    .executeTakeFirst();

export const removeSuppression = statement((db: Db, p: Params<{ id: string }>) =>
  db
    .deleteFrom("notification_suppressions")
    .where("id", "=", p.id)
    .returning(["type", "recipient"]),
);
