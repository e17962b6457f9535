import type { Screen } from "../../../lib/screen.ts";

export const identityProviders: Screen = {
  path: "identity-providers",
  further: ["identity-providers/$id"],
  title: { en: "Identity providers", de: "Identitätsanbieter" },
  group: "people",
  icon: "person",
  permission: "identity-providers:read",
  load: () => import("./IdentityProviders.tsx"),
};
