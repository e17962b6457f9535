import type { Screen } from "../../../lib/screen.ts";

export const tenants: Screen = {
  path: "tenants",
  further: ["tenants/$key"],
  title: { en: "Tenants", de: "Mandanten" },
  group: "main",
  icon: "tenants",
  actions: [{ path: "tenants?new=yes", title: { en: "New tenant", de: "Neuer Mandant" } }],
  load: () => import("./Tenants.tsx"),
};
