import { feature } from "../../kernel/feature/feature.ts";
import type { AuditTables } from "./audit.queries.ts";
import { auditRoutes } from "./audit.routes.ts";

/** The tenant's audit log. Its entries are written by `kernel/audit`. */
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
