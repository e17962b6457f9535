/**
 * Removes bytes that nobody reads any more.
 *
 * An S3 takes what a signed request sends until that expires, whatever became of its file meanwhile. So a
 * deleted file's row, and the room that it takes of the quota, stay until then (`expires_at`); `endUpload`
 * runs for each signed request when it is over. A local folder takes nothing for a file that is gone.
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

/** No upload is as old as this. */
const orphanMs = 86_400_000;

/** Where the bytes of a signed request go. */
export const incoming = (id: string): string => `incoming/${id}`;

/** A signed request for a file is over: what it brought goes, but for the file that was made of it. */
export async function endUpload(scope: Scope, id: string): Promise<void> {
  await scope.storage.delete(incoming(id));
  for (const file of await listRemains.all(scope.db, { id, limit: 1 })) await clear(scope, file);
}

/**
 * Removes what was deleted or never came.
 *
 * @returns how many files it was
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
 * Removes bytes that no row knows of: of uploads that came after their file was given up or confirmed.
 *
 * @returns how many objects it was
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

/** Of a pending one, unless it was confirmed meanwhile. */
async function clear(scope: Scope, { id, status }: { id: string; status: string }): Promise<void> {
  const ours =
    status === "deleted" || (await markDeleted(scope.db, { id, from: "pending", over: true }));
  if (ours) await removeFile(scope, id);
}

/** The bytes first: as long as there are any, a row says so. It stays where some may still come. */
export async function removeFile({ db, storage }: Scope, id: string): Promise<void> {
  await storage.delete(id, incoming(id));
  await dropFile(db, id);
}

export const leave = ({ log }: Pick<TenantScope<FileTables>, "log">, error: unknown, id: string) =>
  log.warn({ err: error, file_id: id }, "A file's bytes are left to the clean-up");
