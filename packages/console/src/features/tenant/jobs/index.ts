import type { Screen } from "../../../lib/screen.ts";
import { title } from "./title.ts";

export const jobs: Screen = {
  path: "jobs",
  title,
  group: "operations",
  icon: "jobs",
  permission: "jobs:read",
  load: () => import("./Jobs.tsx"),
};
