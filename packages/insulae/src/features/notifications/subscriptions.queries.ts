import { type Kysely, sql } from "kysely";
import type { PushSubscription } from "../../kernel/delivery/message.ts";
import type { NotificationTables } from "./notifications.tables.ts";

type Db = Kysely<NotificationTables>;

const columns = ["id", "endpoint", "created_at"] as const;

export const listOwnSubscriptions = (db: Db, userId: string) =>
  db
    .selectFrom("push_subscriptions")
    .select(columns)
    .where("user_id", "=", userId)
    .orderBy("id", "desc")
    .execute();

/** A browser belongs to one user: the one who subscribed it last. */
export const saveSubscription = (
  db: Db,
  userId: string,
  { endpoint, keys: { p256dh, auth } }: PushSubscription,
) =>
  db
    .insertInto("push_subscriptions")
    .values({ user_id: userId, endpoint, p256dh, auth })
    .onConflict((conflict) =>
      conflict
        .constraint("push_subscriptions_endpoint_key")
        .doUpdateSet({ user_id: userId, p256dh, auth }),
    )
    .returning(columns)
    .executeTakeFirstOrThrow();

/** Deletes all but the user's newest subscriptions. */
export const keepNewest = (db: Db, userId: string, count: number) =>
  db
    .deleteFrom("push_subscriptions")
    .where("user_id", "=", userId)
    .where("id", "<=", (eb) =>
      eb
        .selectFrom("push_subscriptions")
        .select("id")
        .where("user_id", "=", userId)
        .orderBy("id", "desc")
        .offset(count)
        .limit(1),
    )
    .execute();

export const deleteOwnSubscription = (db: Db, userId: string, id: string) =>
  db
    .deleteFrom("push_subscriptions")
    .where("id", "=", id)
    .where("user_id", "=", userId)
    .returning("id")
    .executeTakeFirst();

/** The user's browsers, except those that already have the message. */
export const subscriptionsOf = (db: Db, userId: string, without: readonly string[]) =>
  db
    .selectFrom("push_subscriptions")
    .select(["id", "endpoint", "p256dh", "auth"])
    .where("user_id", "=", userId)
    .where("id", "<>", sql<string>`all (${without}::uuid[])`)
    .orderBy("id")
    .execute();

export const deleteSubscription = (db: Db, id: string) =>
  db.deleteFrom("push_subscriptions").where("id", "=", id).execute();
