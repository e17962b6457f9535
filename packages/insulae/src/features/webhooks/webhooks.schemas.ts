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
  description: "`https` at a public address; nothing that it redirects to is asked.",
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
    "What happens while it is off is not sent to it, and what was waiting waits. Once it is on again, so is the count of its failures.",
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
        "Why the server switched it off: nothing got through for three days, the receiver answered 410, or whoever answers for it (or the key they showed) is gone.",
    },
  ),
  failing_since: Type.Union([timestamp, Type.Null()], {
    description: "Since when nothing gets through; null while it does.",
  }),
  made_by: Type.Union([uuid, Type.Null()], {
    description:
      "The user who answers for it. What they may not read is not sent to it; null for one that was there before this was asked.",
  }),
  created_at: timestamp,
  updated_at: timestamp,
};
export const Webhook = Type.Object(properties, { $id: "Webhook" });
export const MadeWebhook = Type.Object(
  {
    ...properties,
    secret: secretText("What requests are signed with. It is shown now, and never again."),
  },
  { $id: "MadeWebhook" },
);
export const RotatedSecret = Type.Object(
  {
    secret: secretText("The new secret. It is shown now, and never again."),
    previous_until: time("Until then the secret before signs too."),
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
    permission: Type.String({ description: "Without it nobody hears of the event." }),
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
  event_id: Type.String({ format: "uuid", description: "The header `webhook-id`." }),
  event: Type.String({ description: "What happened." }),
  state: State,
  attempts: Type.Integer(),
  next_attempt_at: nullable(timestamp),
  tried_at: Type.Union([timestamp, Type.Null()], { description: "The last attempt." }),
  response_status: nullable(Type.Integer()),
  response_excerpt: Type.Union([Type.String(), Type.Null()], {
    description: "The first kilobyte of the last answer.",
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
