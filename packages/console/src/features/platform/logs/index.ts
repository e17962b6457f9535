import type { Screen } from "../../../lib/screen.ts";

export const logs: Screen = {
  path: "logs",
  title: { en: "Live logs", de: "Live-Logs" },
  group: "operations",
  icon: "logs",
  load: () => import("./Logs.tsx"),
};
