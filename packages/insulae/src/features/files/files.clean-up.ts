/**
 * Deletes objects that no file uses any more.
 *
 * S3 accepts a signed upload until it expires, even if the file has been deleted meanwhile. A
 * deleted file's row therefore stays, and counts towards the quota, until `expires_at`; `endUpload`
 * runs when a signed request expires. A local folder accepts no upload for a deleted file.
 */
import type { TenantScope } from "../../kernel/feature/tenant-scope.ts";
import {
  dropFile,
  type FileTables,
  listRemains,
  markDeleted,
  unknownFiles,
} from "./files.queries.ts";

type Scope = Pick<TenantScope<FileTables>, "db" | "storage">;

/** Longer than any upload can take. */
const orphanMs = 86_400_000;

/** The object that a signed upload writes to. */
export const incoming = (id: string): string => `incoming/${id}`;

/**
 * Runs when a signed request has expired: deletes its object, and the file if it was not confirmed.
 */
export async function endUpload(scope: Scope, id: string): Promise<void> {
  await scope.storage.delete(incoming(id));
  for (const file of await listRemains.all(scope.db, { id, limit: 1 })) await clear(scope, file);
}

/**
 * Removes deleted files and uploads that never arrived.
 *
 * @returns the number of files
 */
export async function cleanUpFiles(scope: Scope): Promise<number> {
  let removed = 0;
  for (;;) {
    const found = await listRemains.all(scope.db, { limit: 100 });
    for (const file of found) await clear(scope, file);
    removed += found.length;
    if (found.length < 100) return removed;
  }
}

/**
 * Deletes objects without a row: uploads that arrived after their file was given up or confirmed.
 *
 * @returns the number of objects
 */
export async function removeOrphans(scope: Scope, olderThan = Date.now() - orphanMs) {
  let removed = 0;
  let names: string[] = [];
  const removeUnknown = async () => {
    const orphans = await unknownFiles(scope.db, names);
    await scope.storage.delete(...orphans);
    removed += orphans.length;
    names = [];
  };
  for await (const { name, changedAt } of scope.storage.list()) {
    if (changedAt.getTime() >= olderThan) continue;
    if (name.startsWith("incoming/")) {
      await scope.storage.delete(name);
      removed++;
    } else if (/^[0-9a-f-]{36}$/.test(name) && names.push(name) === 500) await removeUnknown();
  }
  await removeUnknown();
  return removed;
}

/** Removes a file. If it is pending, only unless it has been confirmed meanwhile. */
async function clear(scope: Scope, { id, status }: { id: string; status: string }): Promise<void> {
  const ours =
    status === "deleted" || (await markDeleted(scope.db, { id, from: "pending", over: true }));
  if (ours) await removeFile(scope, id);
}

/**
 * Deletes the objects first, so that a row exists as long as they do. The row stays while an upload
 * may still arrive.
 */
export async function removeFile({ db, storage }: Scope, id: string): Promise<void> {
  await storage.delete(id, incoming(id));
  await dropFile(db, id);
}

export const leave = ({ log }: Pick<TenantScope<FileTables>, "log">, error: unknown, id: string) =>
  log.warn(
    { err: error, file_id: id },
    "Could not delete a file's bytes; the clean-up job will retry",
  );
