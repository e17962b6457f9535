import type { Screen } from "../../../lib/screen.ts";

export const accounts: Screen = {
  path: "accounts",
  further: ["accounts/$id"],
  title: { en: "Accounts", de: "Konten" },
  group: "people",
  icon: "users",
  load: () => import("./Accounts.tsx"),
};
