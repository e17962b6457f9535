import { feature } from "../../kernel/feature.ts";
import { type JobScope, job } from "../../kernel/jobs/job.ts";
import { cleanUpFiles, removeOrphans } from "./files.clean-up.ts";
import { endUploadJob } from "./files.jobs.ts";
import type { FileTables } from "./files.queries.ts";
import { fileEvents, fileRoutes } from "./files.routes.ts";

const cleanUp = job("files.clean-up", {
  schedule: "17 * * * *",
  run: async (_data, scope: JobScope<FileTables>) => ({ removed: await cleanUpFiles(scope) }),
});

/** Lists all that a tenant has in the storage: not for every hour. */
const lookForOrphans = job("files.look-for-orphans", {
  schedule: "47 3 * * *",
  run: async (_data, scope: JobScope<FileTables>) => ({ removed: await removeOrphans(scope) }),
});

/** Files that a tenant's users upload. Their bytes are in the storage, what is known of them is here. */
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
