import type { Screen } from "../../../lib/screen.ts";

export const settings: Screen = {
  path: "settings",
  title: { en: "Settings", de: "Einstellungen" },
  group: "settings",
  icon: "settings",
  permission: "tenants:manage",
  load: () => import("./Settings.tsx"),
};
