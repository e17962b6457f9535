import { feature } from "../../kernel/feature/feature.ts";
import type { DocumentTables } from "./documents.queries.ts";
import { documentEvents, documentRoutes } from "./documents.routes.ts";

export { createDocument, type DocumentTables, documentSearch } from "./documents.queries.ts";

/** Text documents written by a tenant's users. */
export const documents = feature<DocumentTables>("documents", {
  permissions: {
    "documents:read": "See documents",
    "documents:write": "Create, change and delete documents",
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["documents"],
  dependsOn: ["users"],
  events: documentEvents,
  routes: documentRoutes,
});
