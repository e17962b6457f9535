import type { Screen } from "../../../lib/screen.ts";

export const data: Screen = {
  path: "data",
  further: ["data/$resource"],
  title: { en: "Data", de: "Daten" },
  group: "main",
  icon: "data",
  load: () => import("./Data.tsx"),
};
