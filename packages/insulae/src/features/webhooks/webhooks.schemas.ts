import { type Static, Type } from "typebox";
import {
  idParams,
  nullable,
  secretText,
  time,
  timestamp,
  uuid,
} from "../../kernel/feature/fields.ts";

const Url = Type.String({
  format: "uri",
  maxLength: 2_000,
  description: "`https` at a public address. Redirects are not followed.",
  examples: ["https://example.com/webhooks"],
});
const EventNames = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
  minItems: 1,
  maxItems: 100,
  description: "Names of events, as `GET /webhooks/events` lists them, or `*` for all.",
  examples: [["contact.created"]],
});
const Description = nullable(Type.String({ maxLength: 500 }));
const Enabled = Type.Boolean({
  description:
    "Events that occur while it is disabled are not sent to it; deliveries that were waiting keep waiting. Enabling it resets its failures.",
});

const properties = {
  id: uuid,
  url: Type.String(),
  events: Type.Array(Type.String()),
  description: Description,
  enabled: Type.Boolean(),
  disabled_reason: Type.Union(
    [Type.Literal("failing"), Type.Literal("gone"), Type.Literal("maker_gone"), Type.Null()],
    {
      description:
        "Why the server disabled it: it failed for three days, the receiver answered 410, or the responsible user (or the key that they used) no longer exists.",
    },
  ),
  failing_since: Type.Union([timestamp, Type.Null()], {
    description: "Since when every delivery has failed; null if the last one succeeded.",
  }),
  made_by: Type.Union([uuid, Type.Null()], {
    description:
      "The responsible user. Events that they may not read are not sent. Null for webhooks older than this rule.",
  }),
  created_at: timestamp,
  updated_at: timestamp,
};
export const Webhook = Type.Object(properties, { $id: "Webhook" });
export const MadeWebhook = Type.Object(
  {
    ...properties,
    secret: secretText("The signing secret. It is shown only once."),
  },
  { $id: "MadeWebhook" },
);
export const RotatedSecret = Type.Object(
  {
    secret: secretText("The new signing secret. It is shown only once."),
    previous_until: time("Until then the previous secret signs too."),
  },
  { $id: "RotatedSecret" },
);
export const NewWebhook = Type.Object(
  {
    url: Url,
    events: EventNames,
    description: Type.Optional(Description),
    enabled: Type.Optional(Enabled),
  },
  { $id: "NewWebhook" },
);
export type NewWebhookBody = Static<typeof NewWebhook>;
export const WebhookChanges = Type.Object(
  {
    url: Type.Optional(Url),
    events: Type.Optional(EventNames),
    description: Type.Optional(Description),
    enabled: Type.Optional(Enabled),
  },
  { $id: "WebhookChanges", minProperties: 1 },
);

export const EventType = Type.Object(
  {
    name: Type.String(),
    permission: Type.String({ description: "The permission needed to receive the event." }),
    schema: Type.Record(Type.String(), Type.Unknown(), {
      description: "The JSON Schema of the event's `data`.",
    }),
  },
  { $id: "EventType" },
);

export const State = Type.Union([
  Type.Literal("waiting"),
  Type.Literal("delivered"),
  Type.Literal("failed"),
]);
const delivery = {
  id: uuid,
  event_id: Type.String({ format: "uuid", description: "Sent as the header `webhook-id`." }),
  event: Type.String({ description: "What happened." }),
  state: State,
  attempts: Type.Integer(),
  next_attempt_at: nullable(timestamp),
  tried_at: Type.Union([timestamp, Type.Null()], { description: "The time of the last attempt." }),
  response_status: nullable(Type.Integer()),
  response_excerpt: Type.Union([Type.String(), Type.Null()], {
    description: "The first kilobyte of the last response.",
  }),
  reason: Type.Union([Type.String(), Type.Null()], {
    description: "Why the last attempt failed.",
  }),
  created_at: timestamp,
};
export const DeliveryHead = Type.Object(delivery, { $id: "WebhookDeliveryHead" });
export const Delivery = Type.Object(
  { ...delivery, payload: Type.String({ description: "The body, as it is sent." }) },
  { $id: "WebhookDelivery" },
);
export const deliveryParams = Type.Object({ ...idParams.properties, delivery: uuid });
