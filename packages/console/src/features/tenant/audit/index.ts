import type { Screen } from "../../../lib/screen.ts";
import { title } from "./title.ts";

export const audit: Screen = {
  path: "audit",
  title,
  group: "operations",
  icon: "audit",
  permission: "audit:read",
  load: () => import("./Audit.tsx"),
};
