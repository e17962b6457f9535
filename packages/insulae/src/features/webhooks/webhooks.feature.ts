import { Type } from "typebox";
import { feature } from "../../kernel/feature/feature.ts";
import { cleanUp, deliver, notifyOwners } from "./pass.ts";
import { webhookDisabledMail } from "./webhooks.mails.ts";
import type { WebhookTables } from "./webhooks.queries.ts";
import { webhookRoutes } from "./webhooks.routes.ts";

export { recordEvents } from "./record.ts";
export { findWantedEvents, type WebhookTables } from "./webhooks.queries.ts";

/** Sends a tenant's events to URLs of its choice. */
export const webhooks = feature<WebhookTables>("webhooks", {
  dependsOn: ["users"],
  permissions: {
    "webhooks:read": { description: "See webhooks and their deliveries", role: "admin" },
    "webhooks:write": { description: "Set up webhooks", role: "admin" },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["webhooks", "webhook_states", "webhook_events", "webhook_deliveries"],
  events: {
    "webhook.tested": {
      permission: "webhooks:read",
      data: Type.Object({ webhook_id: Type.String({ format: "uuid" }) }),
    },
  },
  jobs: [deliver, cleanUp, notifyOwners],
  mails: [webhookDisabledMail],
  routes: webhookRoutes,
});
