/**
 * What is done after uploads and deletions. Nothing looks through all tenants for what they left: whoever is about
 * to upload or delete something has it looked after (`expectRemains`), whatever becomes of the process then.
 *
 *   upload, deletion ──► clean-up, once for each hour, at least one after it ──► orphans, once for each day
 */
import { Type } from "typebox";
import { uuid } from "../../kernel/feature/fields.ts";
import type { TenantScope } from "../../kernel/feature/tenant-scope.ts";
import { type JobScope, job } from "../../kernel/jobs/job.ts";
import { cleanUpFiles, endUpload, removeOrphans } from "./files.clean-up.ts";
import type { FileTables } from "./files.queries.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** A storage may be away for days. */
const rules = { uncounted: true, priority: -1, retries: 20 } as const;

/** Sent with each signed request for an upload, for when it is over. */
export const endUploadJob = job("files.end-upload", {
  data: Type.Object({ file_id: uuid }),
  uncounted: true,
  run: ({ file_id }, scope: JobScope<FileTables>) => endUpload(scope, file_id),
});

/** Lists all that a tenant has in the storage: not for every hour. */
export const lookForOrphans = job("files.look-for-orphans", {
  ...rules,
  run: async (_data, scope: JobScope<FileTables>) => ({ removed: await removeOrphans(scope) }),
});

export const cleanUp = job("files.clean-up", {
  ...rules,
  async run(_data, scope: JobScope<FileTables>) {
    const removed = await cleanUpFiles(scope);
    // When all that may come of this day is more than a day old.
    await scope.jobs.send(lookForOrphans, {}, slot(dayMs, 2 * dayMs + 2 * hourMs));
    return { removed };
  },
});

/** To be called before something begins that may leave bytes or rows behind; nothing takes an hour. */
export function expectRemains({
  cache,
  jobs,
}: Pick<TenantScope<FileTables>, "cache" | "jobs">): Promise<string> {
  const options = slot(hourMs, 2 * hourMs);
  const send = () => jobs.send(cleanUp, {}, options);
  return cache.getOrSet(`files.clean-up ${options.key}`, send, { ttl: hourMs / 1_000 });
}

/** One job for all that happens within the slot, so long after the first that it is after the last, too. */
const slot = (ms: number, afterMs: number, now = Date.now()) => ({
  key: String(Math.floor(now / ms)),
  after: new Date(now + afterMs),
});
