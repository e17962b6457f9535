import type { Screen } from "../../../lib/screen.ts";

export const signIn: Screen = {
  path: "sign-in",
  title: { en: "Sign-in", de: "Anmeldung" },
  group: "people",
  icon: "enter",
  permission: "tenants:manage",
  load: () => import("./SignIn.tsx"),
};
