import type { Screen } from "../../../lib/screen.ts";

export const hosts: Screen = {
  path: "hosts",
  title: { en: "Hosts", de: "Hosts" },
  group: "settings",
  icon: "globe",
  permission: "tenants:manage",
  load: () => import("./Hosts.tsx"),
};
