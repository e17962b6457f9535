import type { ColumnType, Generated, JSONColumnType } from "kysely";
import type { Message } from "../../kernel/mail/layout.ts";
import type { UserTables } from "../users/users.feature.ts";

/** A variable of a template. Without a default, a value is required when sending. */
export interface DeclaredVariable {
  readonly description?: string;
  readonly default?: string | number | boolean;
  readonly example?: string | number | boolean;
}

export type DeclaredVariables = Readonly<Record<string, DeclaredVariable>>;

export const suppressionReasons = ["bounced", "complained", "unsubscribed", "manual"] as const;

export const channels = ["email", "sms", "push"] as const;

export type Channel = (typeof channels)[number];

export const priorities = ["low", "normal", "high", "critical"] as const;

export type Priority = (typeof priorities)[number];

export type Status = "queued" | "sent" | "failed" | "suppressed" | "bounced" | "complained";

/** Content ready to send. A text message has no subject; a push message's subject is its title. */
export type Content = Pick<Message, "text"> & Partial<Message>;

export interface NotificationTables extends UserTables {
  notifications: {
    id: Generated<string>;
    type: Channel;
    recipient: string;
    user_id: string | null;
    template_name: string | null;
    subject: string | null;
    priority: Priority;
    status: Generated<Status>;
    content: JSONColumnType<Content | Record<string, never>, string, string> | null;
    delivered: Generated<string[]>;
    attempts: Generated<number>;
    error_message: string | null;
    sent_at: Date | null;
    created_at: ColumnType<Date, never, never>;
  };
  notification_templates: TemplateTable;
  notification_suppressions: SuppressionTable;
  push_subscriptions: PushSubscriptionTable;
}

export interface TemplateTable {
  id: ColumnType<string, never, never>;
  name: string;
  type: Channel;
  subject: string | null;
  body: string;
  html: string | null;
  variables: JSONColumnType<DeclaredVariables, string | undefined, string>;
  is_active: Generated<boolean>;
  created_at: ColumnType<Date, never, never>;
  updated_at: ColumnType<Date, never, never>;
}

export interface SuppressionTable {
  id: ColumnType<string, never, never>;
  type: Channel;
  recipient: string;
  reason: (typeof suppressionReasons)[number];
  detail: string | null;
  created_at: ColumnType<Date, never, never>;
}

export interface PushSubscriptionTable {
  id: ColumnType<string, never, never>;
  user_id: string;
  endpoint: string;
  p256dh: string;
  auth: string;
  created_at: ColumnType<Date, never, never>;
}
