import type { Screen } from "../../../lib/screen.ts";

export const jobs: Screen = {
  path: "jobs",
  title: { en: "Jobs", de: "Jobs" },
  group: "operations",
  icon: "jobs",
  load: () => import("./Jobs.tsx"),
};
