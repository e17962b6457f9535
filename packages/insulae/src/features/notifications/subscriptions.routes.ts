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
  "You have no such subscription",
);

/** Browsers make new ones now and then, and don't take the old ones back. */
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
      description: "Https, at a public address.",
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
      summary: "The key with which a browser subscribes (`applicationServerKey`)",
      response: Type.Object({ public_key: Type.String() }),
    },
    ({ platform }) => ({ public_key: platform.delivery.vapidPublicKey }),
  ),

  r.get(
    "/notifications/push/subscriptions",
    {
      permission: "authenticated",
      summary: "Lists your browsers that are pushed to",
      response: Type.Object({ items: Type.Array(Subscription) }),
    },
    async ({ db, user }) => ({ items: await listOwnSubscriptions(db, user.id) }),
  ),

  r.post(
    "/notifications/push/subscriptions",
    {
      permission: "authenticated",
      audit: { none: "a browser of one's own" },
      summary: "Has this browser pushed to",
      description:
        "A browser that was another user's is yours from now on. 20 are kept, the newest.",
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
      audit: { none: "a browser of one's own" },
      summary: "Has a browser of yours pushed to no longer",
      params: idParams,
      response: { 204: null },
      errors: [subscriptionNotFound],
    },
    async ({ db, user, params }) => {
      await deleteOwnSubscription(db, user.id, params.id).then(orThrow(subscriptionNotFound));
    },
  ),
];
