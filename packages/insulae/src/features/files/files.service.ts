/**
 * The life of an upload. First reserve the quota, so that concurrent uploads can't exceed it; then
 * receive the bytes; then settle the file with its actual size.
 *
 *   through the server   reserve ─► bytes to <id> ─► settle
 *   by a signed request  reserve ─► client: bytes to incoming/<id> ─► check, copy to <id>, settle
 *
 * Readers never read an object that a client can still write: signed requests write only to
 * `incoming`. A failure in between leaves a row (`pending` or `deleted`). The clean-up
 * (`files.clean-up.ts`) deletes the bytes first and then the row, so that no object is forgotten.
 */
import { createHash } from "node:crypto";
import type { TenantScope } from "../../kernel/feature/tenant-scope.ts";
import type { UploadForm } from "../../kernel/http/body/stream-body.ts";
import { defineError } from "../../kernel/lib/errors.ts";
import { bodyTooLarge, lengthRequired, validationFailed } from "../../kernel/lib/http-errors.ts";
import { mediaType } from "../../kernel/lib/media-type.ts";
import type { StoredObject } from "../../kernel/storage/driver.ts";
import { dispositionOf, fileName } from "./file-name.ts";
import { fitsType, isShown, isWithoutNul, signatureBytes } from "./file-type.ts";
import { incoming, leave, removeFile } from "./files.clean-up.ts";
import { expectRemains } from "./files.jobs.ts";
import {
  type FileTables,
  findFile,
  markDeleted,
  reserveFile,
  settleFile,
} from "./files.queries.ts";

export const fileNotFound = defineError("file_not_found", 404, "There is no such file");
export const fileNotUploaded = defineError(
  "file_not_uploaded",
  404,
  "The file's bytes have not arrived. Upload them, then confirm again.",
);
export const fileNotReady = defineError(
  "file_not_ready",
  409,
  "The file's upload is not finished. Try again when it is.",
);
export const sizeMismatch = defineError(
  "file_size_mismatch",
  422,
  "The file's size differs from the declared size. Upload it again with the right file_size.",
);
export const typeMismatch = defineError(
  "file_type_mismatch",
  415,
  "The file's content does not match its declared type. Upload it again with the right mime_type.",
);
/** The part that a handler's context and a job's scope share. */
type Scope = Pick<TenantScope<FileTables>, "db" | "storage" | "log" | "events" | "cache" | "jobs">;

/** How long a signed upload may be started, and how long its transfer may then take. */
const signedSeconds = 900;
const transferSeconds = 600;
/** Longer than a request may take to send its body. */
const streamedSeconds = 1_800;
/** For `mime_type`, which is ASCII. */
export const maxTypeLength = 100;

export interface UploadFields {
  readonly file_name?: string;
  readonly file_size?: number;
  readonly mime_type?: string;
  readonly metadata?: object;
}

/** Stores a file uploaded through the server, completely or not at all. */
export async function uploadFile(scope: Scope, userId: string, form: UploadForm<UploadFields>) {
  await expectRemains(scope);
  let reserved: string | undefined;
  try {
    const { id, ...stored } = await form.receive(async ({ fields, name, type, bytes, signal }) => {
      // An upper bound: the form is longer than the file in it.
      const size = fields.file_size ?? form.length;
      if (size === undefined) {
        throw lengthRequired({ detail: "Send Content-Length, or file_size before the file." });
      }
      const file = {
        name:
          fields.file_name === undefined
            ? fileName(name ?? "file", "/body/file")
            : fileName(fields.file_name, "/body/file_name"),
        type: typeFrom(fields.mime_type, type),
        size,
        metadata: fields.metadata ?? {},
        seconds: streamedSeconds,
      };
      const id = await reserveFile(scope.db, { ...file, userId });
      reserved = id;
      const { start, all } = await startOf(bytes);
      if (!fitsType(start, file.type)) throw typeMismatch();
      const { seen, pass } = measured(all, { ...file, exactly: fields.file_size });
      await scope.storage.put(id, pass(), file.type, signal);
      return { id, ...seen() };
    });
    const file = await settle(scope, { id, ...stored, over: true });
    if (file) return file;
    await scope.storage.delete(id);
    throw fileNotFound({ detail: "The file was deleted during the upload. Upload it again." });
  } catch (error) {
    if (reserved !== undefined) await giveUp(scope, reserved, true);
    throw error;
  }
}

/** Makes the file readable and publishes `file.created`. */
const settle = ({ events }: Scope, file: Parameters<typeof settleFile.json>[1]) =>
  events.recording("file.created", (db) => settleFile.json(db, file));

/**
 * Reserves quota for a file and signs the request that uploads its bytes.
 *
 * @returns also until when the quota is reserved; `endUpload` is due then
 */
export async function requestUpload(scope: Scope, userId: string, fields: Required<UploadFields>) {
  const file = {
    name: fileName(fields.file_name, "/body/file_name"),
    type: checkedType(fields.mime_type),
    size: fields.file_size,
    metadata: fields.metadata,
    seconds: signedSeconds + transferSeconds,
  };
  await expectRemains(scope);
  const id = await reserveFile(scope.db, { ...file, userId });
  try {
    const { type, size } = file;
    const terms = { type, size, seconds: signedSeconds };
    const upload = await scope.storage.signUpload(incoming(id), terms);
    return { id, upload, keptUntil: new Date(Date.now() + file.seconds * 1_000) };
  } catch (error) {
    await giveUp(scope, id, true);
    throw error;
  }
}

/** Checks the object that a signed request uploaded and makes it the file's content. */
export async function confirmUpload(scope: Scope, id: string): Promise<void> {
  const { db, storage } = scope;
  const file = await findFile.first(db, { id });
  if (!file) throw fileNotFound();
  if (file.status === "ready") return;
  await expectRemains(scope);
  const found = await storage.stat(incoming(id));
  const copied = found && (await checkedCopy(scope, file, found));
  if (copied) {
    const { sha256 } = copied;
    if (await settle(scope, { id, size: found.size, sha256, over: storage.revokes })) {
      await storage.delete(incoming(id)).catch((error) => leave(scope, error, id));
      return;
    }
  }
  // Another request may have confirmed or deleted the file at the same moment.
  const again = await findFile.first(db, { id });
  if (!again) {
    await storage.delete(id, incoming(id)).catch((error) => leave(scope, error, id));
    throw fileNotFound();
  }
  if (again.status !== "ready") throw fileNotUploaded();
}

async function checkedCopy(
  scope: Scope,
  file: { id: string; mime_type: string; file_size: number | string },
  found: StoredObject,
) {
  const { storage } = scope;
  const refuse = async (error: Error): Promise<never> => {
    await giveUp(scope, file.id, storage.revokes);
    throw error;
  };
  if (found.size !== Number(file.file_size)) return refuse(sizeMismatch());
  const start = await storage.start(incoming(file.id), signatureBytes);
  if (!start) return undefined;
  const type = found.type === undefined ? file.mime_type : mediaType(found.type);
  if (type !== file.mime_type || !fitsType(start, type)) return refuse(typeMismatch());
  return storage.copy(incoming(file.id), file.id, found.tag);
}

/** @returns a URL that serves the file for a limited time */
export async function downloadUrl(
  { db, storage }: Pick<Scope, "db" | "storage">,
  id: string,
): Promise<string> {
  const file = await findFile.first(db, { id });
  if (!file) throw fileNotFound();
  if (file.status !== "ready") throw fileNotReady();
  const { file_name: name, mime_type: type } = file;
  const disposition = dispositionOf(isShown(type) ? "inline" : "attachment", name);
  return storage.signDownload(id, { type, disposition });
}

/** Hides the file at once. Deletes its bytes now or, if that fails, in the next clean-up. */
export async function deleteFile(scope: Scope, id: string): Promise<void> {
  await expectRemains(scope);
  const over = scope.storage.revokes;
  // Deleting a pending file publishes no event. Try it first: pending can become ready, not the
  // reverse.
  const deleted =
    (await markDeleted(scope.db, { id, from: "pending", over })) ??
    (await scope.events.recording("file.deleted", (db) =>
      markDeleted(db, { id, from: "ready", over }),
    ));
  if (!deleted) throw fileNotFound();
  await removeFile(scope, id).catch((error) => leave(scope, error, id));
}

/**
 * Gives up an upload and releases its quota, unless it was settled nevertheless.
 *
 * @param over no bytes can arrive any more
 */
async function giveUp(scope: Scope, id: string, over: boolean): Promise<void> {
  try {
    if (await markDeleted(scope.db, { id, from: "pending", over })) await removeFile(scope, id);
  } catch (error) {
    leave(scope, error, id);
  }
}

/** The part's own content type is not validated with the fields: fall back if it is unusable. */
function typeFrom(field: string | undefined, part: string): string {
  if (field !== undefined) return checkedType(field);
  const type = mediaType(part);
  return type !== undefined && type.length <= maxTypeLength ? type : "application/octet-stream";
}

function checkedType(field: string): string {
  const type = mediaType(field);
  if (type !== undefined && type.length <= maxTypeLength) return type;
  const message = `must be a media type of at most ${maxTypeLength} characters`;
  throw validationFailed({ errors: [{ pointer: "/body/mime_type", message }] });
}

/** The first bytes, and a stream of all bytes including these. */
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

/** Counts and hashes the bytes as they pass. */
function measured(
  bytes: () => AsyncIterable<Buffer>,
  {
    type,
    size: atMost,
    exactly,
  }: { readonly type: string; readonly size: number; readonly exactly: number | undefined },
) {
  const withoutNul = isWithoutNul(type);
  const hash = createHash("sha256");
  let size = 0;
  return {
    seen: () => ({ size, sha256: hash.digest("hex") }),
    async *pass(): AsyncGenerator<Buffer> {
      for await (const chunk of bytes()) {
        size += chunk.length;
        if (size > atMost) throw bodyTooLarge({ detail: "The file is larger than declared." });
        if (withoutNul && chunk.includes(0))
          throw typeMismatch({ detail: "A text file must not contain NUL bytes." });
        hash.update(chunk);
        yield chunk;
      }
      if (exactly !== undefined && size !== exactly) throw sizeMismatch();
    },
  };
}
