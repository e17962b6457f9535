import { feature } from "../../kernel/feature/feature.ts";
import { historyRoutes } from "./history.routes.ts";
import type { NotificationTables } from "./notifications.tables.ts";
import { sendNotification } from "./send.job.ts";
import { sendRoutes } from "./send.routes.ts";
import { subscriptionRoutes } from "./subscriptions.routes.ts";
import { suppressed, suppressionRoutes } from "./suppressions.routes.ts";
import { templateNameTaken, templateRoutes } from "./templates.routes.ts";

export type { NotificationTables } from "./notifications.tables.ts";
export { notificationReturned, type Returned, suppress } from "./returned.ts";
export { findOwnTexts } from "./templates.queries.ts";

/** Notifications that tenants send to people, by e-mail, text message and push. */
export const notifications = feature<NotificationTables>("notifications", {
  dependsOn: ["users"],
  permissions: {
    "notifications:read": {
      description: "See the notification history and suppressed addresses",
      role: "manager",
    },
    "notifications:send": {
      description: "Send notifications and manage suppressed addresses",
      role: "manager",
    },
    "notification-templates:read": "See notification templates",
    "notification-templates:write": {
      description: "Edit the templates of notifications and system e-mails",
      role: "admin",
    },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: [
    "notification_templates",
    "notifications",
    "notification_suppressions",
    "push_subscriptions",
  ],
  constraints: {
    notification_templates_name_key: templateNameTaken,
    notification_suppressions_recipient_key: suppressed,
  },
  jobs: Object.values(sendNotification),
  routes: (r) => [
    ...templateRoutes(r),
    ...historyRoutes(r),
    ...suppressionRoutes(r),
    ...subscriptionRoutes(r),
    ...sendRoutes(r),
  ],
});
