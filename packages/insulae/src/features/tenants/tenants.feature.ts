import { feature } from "../../kernel/feature/feature.ts";
import { hostRoutes } from "./hosts.routes.ts";
import { platformTenantRoutes } from "./platform-tenant.routes.ts";
import { tenantRoutes } from "./tenants.routes.ts";

export { isolationNotPermitted, isPlatformAdmin, makeTenant, tenantFor } from "./tenants.access.ts";
export { Hostname, TenantParams, TenantView, viewOf } from "./tenants.schemas.ts";

/** Tenants: their owners create, read and change them; the platform manages them. */
export const tenants = feature("tenants", {
  permissions: {
    "tenants:read": { description: "See the tenant and its settings", role: "viewer" },
    "tenants:manage": {
      description: "Change the tenant, its settings and hosts",
      role: "owner",
      aliases: ["ManageTenant"],
    },
  },
  routes: (r) => [...tenantRoutes(r), ...hostRoutes(r), ...platformTenantRoutes(r)],
});
