import type { Screen } from "../../../lib/screen.ts";

export const apiKeys: Screen = {
  path: "api-keys",
  title: { en: "API keys", de: "API-Schlüssel" },
  group: "operations",
  icon: "key",
  permission: "api-keys:read",
  load: () => import("./ApiKeys.tsx"),
};
