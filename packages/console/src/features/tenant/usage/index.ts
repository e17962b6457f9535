import type { Screen } from "../../../lib/screen.ts";

export const usage: Screen = {
  path: "usage",
  title: { en: "Usage", de: "Verbrauch" },
  group: "operations",
  icon: "usage",
  permission: "usage:read",
  load: () => import("./Usage.tsx"),
};
