import type { Screen } from "../../../lib/screen.ts";

export const jobs: Screen = {
  path: "jobs",
  title: { en: "Jobs", de: "Jobs" },
  group: "operations",
  icon: "jobs",
  permission: "jobs:read",
  load: () => import("./Jobs.tsx"),
};
