import { feature } from "../../kernel/feature/feature.ts";
import { contextRoutes } from "./context.routes.ts";
import type { IdentityTables } from "./identity-providers.queries.ts";
import { providerRoutes } from "./identity-providers.routes.ts";
import { signInRoutes } from "./sign-in.routes.ts";

export { hasProvider, type IdentityTables } from "./identity-providers.queries.ts";

/** Sign-in through external OpenID Connect providers, which each tenant configures for itself. */
export const identityProviders = feature<IdentityTables>("identity-providers", {
  dependsOn: ["users", "roles"],
  permissions: {
    "identity-providers:read": {
      description: "See the identity providers of the tenant",
      role: "admin",
    },
    "identity-providers:write": {
      description: "Configure identity providers (only effective for owners and administrators)",
      role: "admin",
    },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["identity_providers", "identities"],
  routes: (r) => [...providerRoutes(r), ...contextRoutes(r), ...signInRoutes(r)],
});
