import { feature } from "../../kernel/feature/feature.ts";
import type { ApiKeyTables } from "./api-keys.queries.ts";
import { apiKeyRoutes } from "./api-keys.routes.ts";

export { type ApiKeyTables, noteUse } from "./api-keys.queries.ts";

/** API keys for machines. A key acts on behalf of the user who created it. */
export const apiKeys = feature<ApiKeyTables>("api-keys", {
  dependsOn: ["users"],
  permissions: {
    "api-keys:read": { description: "See the API keys of the tenant", role: "admin" },
    "api-keys:write": { description: "Create and revoke API keys", role: "admin" },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["api_keys"],
  routes: apiKeyRoutes,
});
