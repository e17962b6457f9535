import type { Screen } from "../../../lib/screen.ts";

export const servers: Screen = {
  path: "servers",
  further: ["servers/$id"],
  title: { en: "Servers", de: "Server" },
  group: "operations",
  icon: "server",
  load: () => import("./Servers.tsx"),
};
