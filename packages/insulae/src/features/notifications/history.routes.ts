import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import { findNotification, listNotifications, requeue } from "./notifications.queries.ts";
import { ChannelName, Notification, StatusName } from "./notifications.schemas.ts";
import type { NotificationTables } from "./notifications.tables.ts";
import { recipientsMeant } from "./recipient.ts";
import { sendNotification } from "./send.job.ts";

export const notificationNotFound = defineError(
  "notification_not_found",
  404,
  "There is no such notification",
);
export const notRetryable = defineError(
  "notification_not_retryable",
  409,
  "Only failed or suppressed notifications can be retried",
);

export const historyRoutes = (r: RouteBuilder<NotificationTables>) => [
  r.get(
    "/notifications/history",
    {
      permission: "notifications:read",
      summary: "Lists notifications and their delivery status, newest first",
      query: pageQuery({
        type: Type.Optional(ChannelName),
        status: Type.Optional(StatusName),
        recipient: Type.Optional(Type.String({ maxLength: 4_096 })),
        user_id: Type.Optional(uuid),
        template_name: Type.Optional(Type.String({ maxLength: 100 })),
        from: Type.Optional(timestamp),
        until: Type.Optional(timestamp),
      }),
      response: pageOf(Notification),
    },
    ({ db, query, page }) =>
      listNotifications.page(
        db,
        {
          type: query.type,
          status: query.status,
          recipients:
            query.recipient === undefined
              ? undefined
              : recipientsMeant(query.type, query.recipient),
          user: query.user_id,
          template: query.template_name,
          from: query.from,
          until: query.until,
          after: page.after[0],
        },
        { limit: page.limit, cursor: page.cursor, key: ({ id }) => [id] },
      ),
  ),

  r.get(
    "/notifications/history/:id",
    {
      permission: "notifications:read",
      summary: "Returns a notification and its delivery status",
      params: idParams,
      response: Notification,
      errors: [notificationNotFound],
    },
    ({ db, params }) => findNotification.json(db, params).then(orThrow(notificationNotFound)),
  ),

  r.post(
    "/notifications/history/:id/retry",
    {
      permission: "notifications:send",
      audit: "notification.retried",
      summary: "Resends a notification that failed or was suppressed",
      params: idParams,
      response: Notification,
      errors: [notificationNotFound, notRetryable],
    },
    async ({ db, jobs, params }) => {
      const retried = await db.transaction().execute(async (tx) => {
        const one = await requeue(tx, params.id);
        if (one)
          await jobs.send(sendNotification[one.priority], { notification_id: one.id }, { tx });
        return one;
      });
      if (retried) return retried;
      await findNotification.first(db, params).then(orThrow(notificationNotFound));
      throw notRetryable();
    },
  ),
];
