import { feature } from "../../kernel/feature/feature.ts";
import type { AuditTables } from "./audit.queries.ts";
import { auditRoutes } from "./audit.routes.ts";

/** Reads the audit logs of tenants and of the platform. `kernel/audit` writes their entries. */
export const audit = feature<AuditTables>("audit", {
  permissions: {
    "audit:read": {
      description: "See and export the audit log",
      role: "admin",
      aliases: ["ViewReports"],
    },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["audit_log"],
  routes: auditRoutes,
});
