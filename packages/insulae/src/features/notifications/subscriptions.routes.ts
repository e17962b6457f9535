import { Type } from "typebox";
import type { RouteBuilder } from "../../kernel/feature/feature.ts";
import { idParams, nullable, timestamp, uuid } from "../../kernel/feature/fields.ts";
import { defineError, orThrow } from "../../kernel/lib/errors.ts";
import { inTurn } from "../../kernel/lib/in-turn.ts";
import type { NotificationTables } from "./notifications.tables.ts";
import {
  deleteOwnSubscription,
  keepNewest,
  listOwnSubscriptions,
  saveSubscription,
} from "./subscriptions.queries.ts";

export const subscriptionNotFound = defineError(
  "push_subscription_not_found",
  404,
  "You have no push subscription with this id",
);

/** Browsers renew their subscriptions now and then and don't withdraw the old ones. */
const maxSubscriptions = 20;

const Subscription = Type.Object(
  { id: uuid, endpoint: Type.String(), created_at: timestamp },
  { $id: "PushSubscription" },
);
const NewSubscription = Type.Object(
  {
    endpoint: Type.String({
      maxLength: 2_000,
      format: "uri",
      pattern: "^https?://",
      description: "An HTTPS URL at a public address.",
    }),
    expirationTime: Type.Optional(nullable(Type.Number())),
    keys: Type.Object({
      p256dh: Type.String({ pattern: "^[\\w-]{87}=?$" }),
      auth: Type.String({ pattern: "^[\\w-]{22}(==)?$" }),
    }),
  },
  { $id: "NewPushSubscription", description: "As `PushSubscription.toJSON()` makes it." },
);

export const subscriptionRoutes = (r: RouteBuilder<NotificationTables>) => [
  r.get(
    "/notifications/push/key",
    {
      permission: "public",
      context: "core",
      summary: "Returns the key for a browser's subscription (`applicationServerKey`)",
      response: Type.Object({ public_key: Type.String() }),
    },
    ({ platform }) => ({ public_key: platform.delivery.vapidPublicKey }),
  ),

  r.get(
    "/notifications/push/subscriptions",
    {
      permission: "authenticated",
      summary: "Lists your push subscriptions",
      response: Type.Object({ items: Type.Array(Subscription) }),
    },
    async ({ db, user }) => ({ items: await listOwnSubscriptions(db, user.id) }),
  ),

  r.post(
    "/notifications/push/subscriptions",
    {
      permission: "authenticated",
      audit: { none: "only the caller's own browser" },
      summary: "Subscribes this browser to push messages",
      description:
        "If another user had subscribed the browser, the subscription becomes yours. Your newest 20 are kept.",
      body: NewSubscription,
      response: { 201: Subscription },
    },
    ({ db, user, body }) =>
      db.transaction().execute(async (tx) => {
        await inTurn(tx, "push_subscriptions", user.id);
        const saved = await saveSubscription(tx, user.id, body);
        await keepNewest(tx, user.id, maxSubscriptions);
        return saved;
      }),
  ),

  r.delete(
    "/notifications/push/subscriptions/:id",
    {
      permission: "authenticated",
      audit: { none: "only the caller's own browser" },
      summary: "Deletes one of your push subscriptions",
      params: idParams,
      response: { 204: null },
      errors: [subscriptionNotFound],
    },
    async ({ db, user, params }) => {
      await deleteOwnSubscription(db, user.id, params.id).then(orThrow(subscriptionNotFound));
    },
  ),
];
