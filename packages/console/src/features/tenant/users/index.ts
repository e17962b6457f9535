import type { Screen } from "../../../lib/screen.ts";

export const users: Screen = {
  path: "users",
  further: ["users/$id"],
  title: { en: "Users", de: "Benutzer" },
  group: "people",
  icon: "users",
  permission: "users:read",
  load: () => import("./Users.tsx"),
};
