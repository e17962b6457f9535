import type { Screen } from "../../../lib/screen.ts";

export const tenants: Screen = {
  path: "tenants",
  further: ["tenants/$key"],
  title: { en: "Tenants", de: "Mandanten" },
  group: "main",
  icon: "tenants",
  load: () => import("./Tenants.tsx"),
};
