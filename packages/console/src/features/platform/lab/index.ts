import type { Screen } from "../../../lib/screen.ts";

export const lab: Screen = {
  path: "lab",
  title: { en: "Isolation lab", de: "Isolationslabor" },
  group: "main",
  icon: "lab",
  load: () => import("./Lab.tsx"),
};
