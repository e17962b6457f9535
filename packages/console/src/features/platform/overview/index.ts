import type { Screen } from "../../../lib/screen.ts";

export const overview: Screen = {
  path: "",
  title: { en: "Overview", de: "Überblick" },
  group: "main",
  icon: "home",
  load: () => import("./Overview.tsx"),
};
