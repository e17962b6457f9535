/**
 * Clean-up jobs for uploads and deletions. No job scans all tenants: each upload or deletion first
 * schedules the clean-up of its own tenant (`expectRemains`), so that it runs even if the process
 * dies.
 *
 *   upload, deletion ──► clean-up (per hour, at least 1 h later) ──► orphans (per day)
 */
import { Type } from "typebox";
import { uuid } from "../../kernel/feature/fields.ts";
import { type JobScope, job } from "../../kernel/feature/job.ts";
import type { TenantScope } from "../../kernel/feature/tenant-scope.ts";
import { cleanUpFiles, endUpload, removeOrphans } from "./files.clean-up.ts";
import type { FileTables } from "./files.queries.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** The storage may be unavailable for days. */
const rules = { uncounted: true, priority: -1, retries: 20 } as const;

/** Sent with each signed upload; due when it expires. */
export const endUploadJob = job("files.end-upload", {
  data: Type.Object({ file_id: uuid }),
  uncounted: true,
  run: ({ file_id }, scope: JobScope<FileTables>) => endUpload(scope, file_id),
});

/** Lists all of a tenant's objects, which is too expensive for every hour. */
export const lookForOrphans = job("files.look-for-orphans", {
  ...rules,
  run: async (_data, scope: JobScope<FileTables>) => ({ removed: await removeOrphans(scope) }),
});

export const cleanUp = job("files.clean-up", {
  ...rules,
  async run(_data, scope: JobScope<FileTables>) {
    const removed = await cleanUpFiles(scope);
    // Due when everything uploaded on this day is more than a day old.
    await scope.jobs.send(lookForOrphans, {}, slot(dayMs, 2 * dayMs + 2 * hourMs));
    return { removed };
  },
});

/**
 * Schedules a clean-up. Call it before an operation (of under an hour) that may leave bytes or rows
 * behind.
 */
export function expectRemains({
  cache,
  jobs,
}: Pick<TenantScope<FileTables>, "cache" | "jobs">): Promise<string> {
  const options = slot(hourMs, 2 * hourMs);
  const send = () => jobs.send(cleanUp, {}, options);
  return cache.getOrSet(`files.clean-up ${options.key}`, send, { ttl: hourMs / 1_000 });
}

/**
 * One job per time slot. It runs so long after the slot's first operation that the last has ended
 * too.
 */
const slot = (ms: number, afterMs: number, now = Date.now()) => ({
  key: String(Math.floor(now / ms)),
  after: new Date(now + afterMs),
});
