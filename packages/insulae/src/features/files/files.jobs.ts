import { Type } from "typebox";
import { uuid } from "../../kernel/http/fields.ts";
import { type JobScope, job } from "../../kernel/jobs/job.ts";
import { endUpload } from "./files.clean-up.ts";
import type { FileTables } from "./files.queries.ts";

/** Sent with each signed request for an upload, for when it is over. */
export const endUploadJob = job("files.end-upload", {
  data: Type.Object({ file_id: uuid }),
  uncounted: true,
  run: ({ file_id }, scope: JobScope<FileTables>) => endUpload(scope, file_id),
});
