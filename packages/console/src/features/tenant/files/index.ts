import type { Screen } from "../../../lib/screen.ts";

export const files: Screen = {
  path: "files",
  title: { en: "Files", de: "Dateien" },
  group: "main",
  icon: "file",
  permission: "files:read",
  load: () => import("./Files.tsx"),
};
