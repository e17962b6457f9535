import type { Screen } from "../../../lib/screen.ts";

export const impersonations: Screen = {
  path: "impersonations",
  title: { en: "Impersonations", de: "Handeln als" },
  group: "people",
  icon: "person",
  load: () => import("./Impersonations.tsx"),
};
