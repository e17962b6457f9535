import type { Screen } from "../../../lib/screen.ts";

export const mails: Screen = {
  path: "mails",
  title: { en: "Mails", de: "Mails" },
  group: "operations",
  icon: "mail",
  load: () => import("./Mails.tsx"),
};
