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

/** What a tenant tells people, by e-mail, text message and push. */
export const notifications = feature<NotificationTables>("notifications", {
  dependsOn: ["users"],
  permissions: {
    "notifications:read": {
      description: "See what was sent to whom, and who is not written to",
      role: "manager",
    },
    "notifications:send": {
      description: "Send notifications, and say who is not written to",
      role: "manager",
    },
    "notification-templates:read": "See the templates of notifications",
    "notification-templates:write": {
      description: "Write the templates of notifications and of the system's mails",
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
