import type { Screen } from "../../../lib/screen.ts";

export const health: Screen = {
  path: "health",
  title: { en: "Health", de: "Zustand" },
  group: "operations",
  icon: "health",
  load: () => import("./Health.tsx"),
};
