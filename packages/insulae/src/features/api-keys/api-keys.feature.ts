import { feature } from "../../kernel/feature/feature.ts";
import type { ApiKeyTables } from "./api-keys.queries.ts";
import { apiKeyRoutes } from "./api-keys.routes.ts";

export { type ApiKeyTables, noteUse } from "./api-keys.queries.ts";

/** Keys for machines, each on behalf of the user who made it. */
export const apiKeys = feature<ApiKeyTables>("api-keys", {
  dependsOn: ["users"],
  permissions: {
    "api-keys:read": { description: "See the API keys of the tenant", role: "admin" },
    "api-keys:write": { description: "Make and revoke API keys", role: "admin" },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["api_keys"],
  routes: apiKeyRoutes,
});
