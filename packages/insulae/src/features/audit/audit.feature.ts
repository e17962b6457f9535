import { feature } from "../../kernel/feature.ts";

/** The tenant's audit log. Its entries are written by `kernel/audit`. */
export const audit = feature("audit", {
  permissions: {
    "audit:read": {
      description: "See and export the audit log",
      role: "admin",
      aliases: ["ViewReports"],
    },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["audit_log"],
});
