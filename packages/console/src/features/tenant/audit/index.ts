import type { Screen } from "../../../lib/screen.ts";

export const audit: Screen = {
  path: "audit",
  title: { en: "Audit log", de: "Audit-Log" },
  group: "operations",
  icon: "audit",
  permission: "audit:read",
  load: () => import("./Audit.tsx"),
};
