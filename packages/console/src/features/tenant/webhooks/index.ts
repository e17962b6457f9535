import type { Screen } from "../../../lib/screen.ts";

export const webhooks: Screen = {
  path: "webhooks",
  further: ["webhooks/$id"],
  title: { en: "Webhooks", de: "Webhooks" },
  group: "operations",
  icon: "hook",
  permission: "webhooks:read",
  load: () => import("./Webhooks.tsx"),
};
