import { feature } from "../../kernel/feature/feature.ts";
import { cleanUp, endUploadJob, lookForOrphans } from "./files.jobs.ts";
import type { FileTables } from "./files.queries.ts";
import { fileEvents, fileRoutes } from "./files.routes.ts";

/**
 * Files uploaded by a tenant's users. Object storage has their bytes, the database their metadata.
 */
export const files = feature<FileTables>("files", {
  permissions: {
    "files:read": "See and download files",
    "files:write": "Upload, rename and delete files",
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["files"],
  dependsOn: ["users"],
  events: fileEvents,
  jobs: [cleanUp, lookForOrphans, endUploadJob],
  routes: fileRoutes,
});
