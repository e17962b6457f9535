import type { Screen } from "../../../lib/screen.ts";
import { title } from "./title.ts";

export const usage: Screen = {
  path: "usage",
  title,
  group: "operations",
  icon: "usage",
  permission: "usage:read",
  load: () => import("./Usage.tsx"),
};
