import type { Screen } from "../../../lib/screen.ts";

export const invitations: Screen = {
  path: "invitations",
  title: { en: "Invitations", de: "Einladungen" },
  group: "people",
  icon: "mail",
  permission: "users:write",
  load: () => import("./Invitations.tsx"),
};
