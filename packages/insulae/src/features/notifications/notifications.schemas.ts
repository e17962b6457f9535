import { Type } from "typebox";
import { nullable, timestamp, uuid } from "../../kernel/feature/fields.ts";

export const ChannelName = Type.Union([
  Type.Literal("email"),
  Type.Literal("sms"),
  Type.Literal("push"),
]);
export const PriorityName = Type.Union([
  Type.Literal("low"),
  Type.Literal("normal"),
  Type.Literal("high"),
  Type.Literal("critical"),
]);
export const StatusName = Type.Union([
  Type.Literal("queued"),
  Type.Literal("sent"),
  Type.Literal("failed"),
  Type.Literal("suppressed"),
  Type.Literal("bounced"),
  Type.Literal("complained"),
]);

export const Notification = Type.Object(
  {
    id: uuid,
    type: ChannelName,
    recipient: Type.String(),
    user_id: nullable(uuid),
    template_name: nullable(Type.String()),
    subject: nullable(Type.String()),
    priority: PriorityName,
    status: StatusName,
    attempts: Type.Integer(),
    error_message: nullable(
      Type.String({ description: "Why it was not sent, or why it bounced." }),
    ),
    sent_at: nullable(timestamp),
    created_at: timestamp,
  },
  { $id: "Notification" },
);

const value = Type.Union([Type.String({ maxLength: 10_000 }), Type.Number(), Type.Boolean()]);
export const TemplateVars = Type.Record(
  Type.String({ pattern: "^[a-z][a-z0-9_]{0,49}$" }),
  Type.Union([value, Type.Array(value, { maxItems: 100 })]),
  {
    maxProperties: 100,
    description: "The values of the template's variables.",
    examples: [{ name: "Ada" }],
  },
);

const small = Type.Union([Type.String({ maxLength: 1_000 }), Type.Number(), Type.Boolean()]);
export const DeclaredVariables = Type.Record(
  Type.String({ pattern: "^[a-z][a-z0-9_]{0,49}$" }),
  Type.Object({
    description: Type.Optional(Type.String({ maxLength: 500 })),
    default: Type.Optional(small),
    example: Type.Optional(small),
  }),
  {
    maxProperties: 100,
    description:
      "The variables that the texts may use. Those without a `default` are required when sending.",
    examples: [{ name: { example: "Ada" }, city: { default: "London" } }],
  },
);
