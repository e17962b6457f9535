import type { Screen } from "../../../lib/screen.ts";
import { title } from "./title.ts";

export const logs: Screen = {
  path: "logs",
  title,
  group: "operations",
  icon: "logs",
  permission: "logs:read",
  load: () => import("./Logs.tsx"),
};
