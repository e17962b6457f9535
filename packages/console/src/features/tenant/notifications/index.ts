import type { Screen } from "../../../lib/screen.ts";

export const notifications: Screen = {
  path: "notifications",
  title: { en: "Notifications", de: "Benachrichtigungen" },
  group: "operations",
  icon: "mail",
  permission: "notifications:read",
  load: () => import("./Notifications.tsx"),
};
