/**
 * How a file comes to be. Room for it is kept first, so that however many come at once they never exceed
 * the quota; then its bytes come; then it is settled, with the size that they have.
 *
 *   through the server    reserve ─► bytes to <id> ─► settle
 *   by a signed request   reserve ─► client: bytes to incoming/<id> ─► confirm: check, copy to <id>, settle
 *
 * What a client may still write to is never what others read: a signed request is good for `incoming`
 * alone. Whatever goes wrong in between leaves a row that says so (`pending`, `deleted`); the clean-up
 * removes the bytes first and then the row, so that none are forgotten.
 */
import { createHash } from "node:crypto";
import { defineError } from "../../kernel/errors.ts";
import { bodyTooLarge, lengthRequired, validationFailed } from "../../kernel/http/errors.ts";
import type { UploadForm } from "../../kernel/http/stream-body.ts";
import type { Json } from "../../kernel/json.ts";
import type { TenantScope } from "../../kernel/platform.ts";
import { dispositionOf, fitsType, signatureBytes } from "./file-type.ts";
import {
  dropFile,
  type FileTables,
  findFile,
  listRemains,
  markDeleted,
  reserveFile,
  settleFile,
  unknownFiles,
} from "./files.queries.ts";

export const fileNotFound = defineError("file_not_found", 404, "There is no such file");
export const fileNotUploaded = defineError(
  "file_not_uploaded",
  404,
  "The bytes of this file have not come",
);
export const fileNotReady = defineError(
  "file_not_ready",
  409,
  "The bytes of this file have not come yet",
);
export const sizeMismatch = defineError(
  "file_size_mismatch",
  422,
  "The file is not as large as was said",
);
export const typeMismatch = defineError(
  "file_type_mismatch",
  415,
  "The file is not of the type that was said",
);
/** What a handler's context and a job's scope have in common. */
type Scope = Pick<TenantScope<FileTables>, "db" | "storage" | "log" | "events">;

/** For how long a signed request for an upload is good. */
const signedSeconds = 900;
/** Longer than the bytes of a request may take to come. */
const streamedSeconds = 1_800;
/** No upload is as old as this. */
const orphanMs = 86_400_000;

const incoming = (id: string): string => `incoming/${id}`;

export interface UploadFields {
  readonly file_name?: string;
  readonly file_size?: number;
  readonly mime_type?: string;
  readonly metadata?: object;
}

/** Stores a file whose bytes come through the server: all of them, or nothing. */
export async function uploadFile(
  scope: Scope,
  userId: string,
  form: UploadForm<UploadFields>,
): Promise<Json> {
  let reserved: string | undefined;
  try {
    const { id, ...stored } = await form.receive(async ({ fields, name, type, bytes }) => {
      // The whole form is longer than the file in it.
      const size = fields.file_size ?? form.length;
      if (size === undefined) {
        throw lengthRequired({ detail: "Send Content-Length, or file_size before the file" });
      }
      const file = {
        name: fields.file_name ?? nameFrom(name),
        type: mediaType(fields.mime_type ?? type),
        size,
        metadata: fields.metadata ?? {},
        seconds: streamedSeconds,
      };
      const id = await reserveFile(scope.db, { ...file, userId });
      reserved = id;
      const { start, all } = await startOf(bytes);
      if (!fitsType(start, file.type)) throw typeMismatch();
      const { seen, pass } = measured(all, { atMost: size, exactly: fields.file_size });
      await scope.storage.put(id, pass(), file.type);
      return { id, ...seen() };
    });
    const file = await settle(scope, { id, ...stored });
    if (file) return file;
    await scope.storage.delete(id);
    throw fileNotFound({ detail: "It was deleted while it came" });
  } catch (error) {
    if (reserved !== undefined) await giveUp(scope, reserved);
    throw error;
  }
}

/** From now on it can be read, and whoever wants to know hears of it. */
const settle = ({ events }: Scope, file: { id: string; size: number; sha256: string | null }) =>
  events.recording("file.created", (db) => settleFile.json(db, file));

/** Keeps room for a file, and signs the request that its bytes may come with. */
export async function requestUpload(scope: Scope, userId: string, fields: Required<UploadFields>) {
  const file = {
    name: fields.file_name,
    type: mediaType(fields.mime_type),
    size: fields.file_size,
    metadata: fields.metadata,
    seconds: signedSeconds,
  };
  const id = await reserveFile(scope.db, { ...file, userId });
  try {
    const { type, size } = file;
    const upload = await scope.storage.signUpload(incoming(id), {
      type,
      size,
      seconds: signedSeconds,
    });
    return { id, upload };
  } catch (error) {
    await giveUp(scope, id);
    throw error;
  }
}

/** Looks at what has come by a signed request, and makes a file of it. */
export async function confirmUpload(scope: Scope, id: string): Promise<void> {
  const { db, storage } = scope;
  const file = await findFile.first(db, { id });
  if (!file) throw fileNotFound();
  if (file.status === "ready") return;
  const found = await storage.stat(incoming(id));
  const copied = found && (await checkedCopy(scope, file, found));
  if (copied && (await settle(scope, { id, size: found.size, sha256: copied.sha256 }))) {
    await storage.delete(incoming(id)).catch((error) => leave(scope, error, id));
    return;
  }
  // Perhaps somebody else has confirmed it at the same moment.
  const again = await findFile.first(db, { id });
  if (!again) throw fileNotFound();
  if (again.status !== "ready") throw fileNotUploaded();
}

async function checkedCopy(
  scope: Scope,
  file: { id: string; mime_type: string; file_size: number | string },
  found: { size: number; type: string | undefined; tag: string },
) {
  const { storage } = scope;
  const refuse = async (error: Error): Promise<never> => {
    await giveUp(scope, file.id);
    throw error;
  };
  if (found.size !== Number(file.file_size)) return refuse(sizeMismatch());
  const start = await storage.start(incoming(file.id), signatureBytes);
  if ((found.type ?? file.mime_type) !== file.mime_type || !fitsType(start, file.mime_type)) {
    return refuse(typeMismatch());
  }
  return storage.copy(incoming(file.id), file.id, found.tag);
}

/** @returns a URL from which the file can be fetched for a while. */
export async function downloadUrl(
  { db, storage }: Pick<Scope, "db" | "storage">,
  id: string,
): Promise<string> {
  const file = await findFile.first(db, { id });
  if (!file) throw fileNotFound();
  if (file.status !== "ready") throw fileNotReady();
  const { file_name: name, mime_type: type } = file;
  return storage.signDownload(id, { type, disposition: dispositionOf({ name, type }) });
}

/** Nobody sees it from now on; its bytes go at once, or with the next clean-up. */
export async function deleteFile(scope: Scope, id: string): Promise<void> {
  // One whose bytes never came was there for nobody. It may become ready meanwhile, and not the reverse.
  const deleted =
    (await markDeleted(scope.db, id, "pending")) ??
    (await scope.events.recording("file.deleted", (db) => markDeleted(db, id, "ready")));
  if (!deleted) throw fileNotFound();
  await remove(scope, id).catch((error) => leave(scope, error, id));
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
    for (const { id, status } of found) {
      const ours = status === "deleted" || (await markDeleted(scope.db, id, "pending"));
      if (ours) await remove(scope, id);
    }
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

/** An upload came to nothing; unless it was settled in spite of that, its room is free again. */
async function giveUp(scope: Scope, id: string): Promise<void> {
  try {
    if (await markDeleted(scope.db, id, "pending")) await remove(scope, id);
  } catch (error) {
    leave(scope, error, id);
  }
}

/** The bytes first: as long as there are any, a row says so. */
async function remove({ db, storage }: Scope, id: string): Promise<void> {
  await storage.delete(id, incoming(id));
  await dropFile(db, id);
}

const leave = ({ log }: Scope, error: unknown, id: string): void =>
  log.warn({ err: error, file_id: id }, "A file's bytes are left to the clean-up");

const mediaType = (text: string): string =>
  /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/i.test(text) && text.length <= 100
    ? text.toLowerCase()
    : "application/octet-stream";

/** The name that a form's part gives its file is not among the fields that were checked. */
function nameFrom(text = "file"): string {
  if ([...text].length > 255 || /\p{Cc}/u.test(text)) {
    throw validationFailed({ errors: [{ pointer: "/body/file", message: "has no usable name" }] });
  }
  return text;
}

/** The first bytes, and all of them, with these. */
async function startOf(bytes: AsyncIterable<Buffer>) {
  const iterator = bytes[Symbol.asyncIterator]();
  const read: Buffer[] = [];
  for (let length = 0; length < signatureBytes; ) {
    const { done, value } = await iterator.next();
    if (done) break;
    read.push(value);
    length += value.length;
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield* read;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      yield next.value;
    }
  }
  return { start: Buffer.concat(read).subarray(0, signatureBytes), all };
}

/** Lets bytes pass, and counts and hashes them. */
function measured(
  bytes: () => AsyncIterable<Buffer>,
  { atMost, exactly }: { readonly atMost: number; readonly exactly: number | undefined },
) {
  const hash = createHash("sha256");
  let size = 0;
  return {
    seen: () => ({ size, sha256: hash.digest("hex") }),
    async *pass(): AsyncGenerator<Buffer> {
      for await (const chunk of bytes()) {
        size += chunk.length;
        if (size > atMost) throw bodyTooLarge({ detail: "The file is larger than was said" });
        hash.update(chunk);
        yield chunk;
      }
      if (exactly !== undefined && size !== exactly) throw sizeMismatch();
    },
  };
}
