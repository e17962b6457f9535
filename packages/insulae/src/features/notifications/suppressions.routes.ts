import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { pageOf, pageQuery } from "../../kernel/feature/page.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import { refuseBeyond } from "../../kernel/lib/in-turn.ts";
import { ChannelName } from "./notifications.schemas.ts";
import type { NotificationTables } from "./notifications.tables.ts";
import { findCanonicalRecipient, recipientsMeant } from "./recipient.ts";
import { invalidRecipient } from "./send.routes.ts";
import { addSuppression, listSuppressions, removeSuppression } from "./suppressions.queries.ts";

export const suppressionNotFound = defineError(
  "notification_suppression_not_found",
  404,
  "There is no such suppressed address",
);
export const suppressed = defineError(
  "notification_suppression_exists",
  409,
  "This address is already suppressed",
);

export const tooManySuppressions = defineError(
  "too_many_notification_suppressions",
  409,
  "A tenant can have at most 100,000 suppressed addresses. Delete some first.",
);

const maxSuppressions = 100_000;

const Reason = Type.Union([
  Type.Literal("bounced"),
  Type.Literal("complained"),
  Type.Literal("unsubscribed"),
  Type.Literal("manual"),
]);
const Suppression = Type.Object(
  {
    id: uuid,
    type: ChannelName,
    recipient: Type.String(),
    reason: Reason,
    detail: nullable(Type.String()),
    created_at: timestamp,
  },
  { $id: "NotificationSuppression" },
);
const NewSuppression = Type.Object(
  {
    type: ChannelName,
    recipient: Type.String({ minLength: 1, maxLength: 2_000 }),
    reason: Type.Optional(Reason),
    detail: Type.Optional(Type.String({ maxLength: 500 })),
  },
  { $id: "NewNotificationSuppression" },
);

export const suppressionRoutes = (r: RouteBuilder<NotificationTables>) => [
  r.get(
    "/notifications/suppressions",
    {
      permission: "notifications:read",
      summary: "Lists suppressed addresses, newest first",
      query: pageQuery({
        type: Type.Optional(ChannelName),
        recipient: Type.Optional(Type.String({ maxLength: 4_096 })),
      }),
      response: pageOf(Suppression),
    },
    ({ db, query, page }) =>
      listSuppressions.page(
        db,
        {
          type: query.type,
          recipients:
            query.recipient === undefined
              ? undefined
              : recipientsMeant(query.type, query.recipient),
          after: page.after[0],
        },
        { limit: page.limit, cursor: page.cursor, key: ({ id }) => [id] },
      ),
  ),

  r.post(
    "/notifications/suppressions",
    {
      permission: "notifications:send",
      audit: "notification_suppression.added",
      summary: "Suppresses an address",
      description:
        "Notifications to it are no longer sent. System e-mails, such as a password reset, still are.",
      body: NewSuppression,
      response: { 201: Suppression },
      errors: [invalidRecipient, suppressed, tooManySuppressions],
    },
    ({ db, body: { type, recipient: given, reason = "manual", detail = null } }) => {
      const recipient = findCanonicalRecipient(type, given);
      if (recipient === undefined) throw invalidRecipient();
      return db.transaction().execute(async (tx) => {
        const room = [maxSuppressions, tooManySuppressions] as const;
        await refuseBeyond(tx, "notification_suppressions", ...room);
        return addSuppression(tx, { type, recipient, reason, detail });
      });
    },
  ),

  r.delete(
    "/notifications/suppressions/:id",
    {
      permission: "notifications:send",
      audit: "notification_suppression.removed",
      summary: "Removes an address from the suppressed ones",
      params: idParams,
      response: { 204: null },
      errors: [suppressionNotFound],
    },
    async ({ db, params }) => {
      await removeSuppression.first(db, params).then(orThrow(suppressionNotFound));
    },
  ),
];
