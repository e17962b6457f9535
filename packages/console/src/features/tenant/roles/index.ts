import type { Screen } from "../../../lib/screen.ts";

export const roles: Screen = {
  path: "roles",
  title: { en: "Roles", de: "Rollen" },
  group: "people",
  icon: "roles",
  permission: "roles:read",
  load: () => import("./Roles.tsx"),
};
