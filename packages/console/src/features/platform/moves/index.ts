import type { Screen } from "../../../lib/screen.ts";

export const moves: Screen = {
  path: "moves",
  further: ["moves/$id"],
  title: { en: "Moves", de: "Umzüge" },
  group: "operations",
  icon: "refresh",
  actions: [{ title: { en: "Move a tenant", de: "Mandanten umziehen" }, path: "moves?new=yes" }],
  load: () => import("./Moves.tsx"),
};
