/**
 * Stores files in a local folder: `<folder>/<tenant>/<name>`. An object is written to a temporary
 * file, flushed, and renamed, so that it exists completely or not at all, even after a power
 * failure; a full disk costs only the upload. Clients access it by signed URLs that this server
 * serves (`local-files.ts`).
 *
 * A signed upload is valid while its empty file below `granted` exists; `delete` removes that
 * before the object, so nothing is stored for a deleted or confirmed file.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import {
  access,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { downloadSeconds, type StorageDriver, signingTime } from "./driver.ts";
import { signedUrlRefused, storageFull, uploadInProgress } from "./errors.ts";
import type { Grants } from "./grants.ts";

export interface LocalDriverOptions {
  readonly folder: string;
  readonly grants: Grants;
  /** This server's URL, or that of a CDN in front of it. */
  readonly uploadBase: () => string;
  readonly downloadBase: () => string;
}

export const storagePath = "/api/v1/storage";

/** Longer than any upload takes. */
const staleMs = 3_600_000;

export interface LocalDriver extends StorageDriver {
  /** Stores a signed upload. @throws signedUrlRefused once it was revoked, uploadInProgress */
  receive(key: string, bytes: AsyncIterable<Uint8Array>): Promise<void>;
}

export function createLocalDriver(options: LocalDriverOptions): LocalDriver {
  const { folder, grants } = options;
  const unfinished = join(folder, "unfinished");
  const granted = join(folder, "granted");
  const pathOf = (key: string): string => join(folder, ...key.split("/"));
  const grantOf = (key: string): string => join(granted, ...key.split("/"));
  const receiving = new Set<string>();
  const mustBeGranted = (key: string): Promise<void> =>
    access(grantOf(key)).catch((cause: unknown) => {
      throw isMissing(cause) ? signedUrlRefused({ cause }) : cause;
    });

  /** Creates a temporary file, and renames it to the object. */
  const replace = async (key: string, make: (temporary: string) => Promise<void>) => {
    const path = pathOf(key);
    const temporary = join(unfinished, randomUUID());
    try {
      await mkdir(unfinished, { recursive: true, mode: 0o700 });
      await make(temporary);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rename(temporary, path);
      await flushFolder(dirname(path));
    } catch (error) {
      throw orFull(error);
    } finally {
      // It still exists after an error, and if both names were the same file: then nothing is
      // renamed.
      await rm(temporary, { force: true });
    }
  };

  return {
    revokes: true,
    put: (key, bytes) => replace(key, (temporary) => write(temporary, bytes)),
    async receive(key, bytes) {
      async function* whileGranted() {
        for await (const chunk of bytes) {
          await mustBeGranted(key);
          yield chunk;
        }
      }
      await mustBeGranted(key);
      // Space is reserved for it once.
      if (receiving.has(key)) throw uploadInProgress();
      receiving.add(key);
      try {
        await replace(key, (temporary) => write(temporary, whileGranted()));
        // `delete` may have looked for the object just before it was created.
        await mustBeGranted(key).catch(async (error: unknown) => {
          await rm(pathOf(key), { force: true });
          throw error;
        });
      } finally {
        receiving.delete(key);
      }
    },
    async stat(key) {
      const found = await lookUp(pathOf(key));
      return found && { size: found.size, type: undefined, tag: tagOf(found) };
    },
    async start(key, bytes) {
      const file = await open(pathOf(key)).catch(orUndefined);
      if (!file) return undefined;
      try {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    },
    async copy(from, to, tag) {
      let copied: { sha256: string } | undefined;
      await replace(to, async (temporary) => {
        await link(pathOf(from), temporary);
        const found = await stat(temporary);
        if (tagOf(found) !== tag) throw replacedMeanwhile;
        copied = { sha256: await sha256Of(temporary) };
      }).catch((error: unknown) => {
        if (error !== replacedMeanwhile && !isMissing(error)) throw error;
      });
      return copied;
    },
    async delete(...keys) {
      for (const key of keys) {
        await rm(grantOf(key), { force: true });
        await rm(pathOf(key), { force: true });
      }
    },
    async *list(prefix) {
      const top = join(folder, prefix);
      const found = await readdir(top, { recursive: true, withFileTypes: true }).catch(orNothing);
      for (const entry of found) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        const stats = await lookUp(path);
        if (stats) yield { key: prefix + path.slice(top.length), changedAt: stats.mtime };
      }
    },
    async *folders() {
      yield* await readdir(folder).catch(orNothing);
    },
    async deleteAll(prefix) {
      for (const top of [granted, folder]) {
        await rm(join(top, prefix), { recursive: true, force: true });
      }
    },
    async signUpload(key, { size, type, seconds }) {
      const expires = Math.floor(Date.now() / 1_000) + seconds;
      const path = grantOf(key);
      try {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await writeFile(path, "", { mode: 0o600 });
        await utimes(path, expires, expires); // for `sweep`
      } catch (error) {
        throw orFull(error);
      }
      const grant = grants.sign({ method: "PUT", key, expires, type, size });
      return {
        method: "PUT",
        url: `${options.uploadBase()}${storagePath}?grant=${grant}`,
        headers: { "content-type": type },
        fields: {},
        expiresAt: new Date(expires * 1_000),
      };
    },
    async signDownload(key, { type, disposition }) {
      const expires = signingTime(Date.now()).getTime() / 1_000 + downloadSeconds;
      const grant = grants.sign({ method: "GET", key, expires, type, disposition });
      return `${options.downloadBase()}${storagePath}?grant=${grant}`;
    },
    async sweep() {
      for (const top of [unfinished, granted]) {
        const entries = await readdir(top, { recursive: true, withFileTypes: true }).catch(
          orNothing,
        );
        for (const entry of entries) {
          const path = join(entry.parentPath, entry.name);
          const found = entry.isFile() ? await lookUp(path) : undefined;
          if (found && found.mtimeMs < Date.now() - staleMs) await rm(path, { force: true });
        }
      }
    },
    close() {},
  };
}

const replacedMeanwhile = new Error("the object was replaced meanwhile");

/** Writes and flushes: afterwards the data is on disk. */
async function write(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    for await (const chunk of bytes) {
      for (let done = 0; done < chunk.length; ) {
        done += (await file.write(chunk, done)).bytesWritten;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Changes when the file is replaced. */
const tagOf = ({ ino, mtimeMs, size }: Stats): string => `${ino}-${mtimeMs}-${size}`;

const lookUp = (path: string): Promise<Stats | undefined> => stat(path).catch(orUndefined);

function orUndefined(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}

const orNothing = (error: unknown): never[] => orUndefined(error) ?? [];

const codeOf = (error: unknown): unknown =>
  error instanceof Error && "code" in error ? error.code : undefined;

const isMissing = (error: unknown): boolean => codeOf(error) === "ENOENT";

const orFull = (error: unknown): unknown =>
  ["ENOSPC", "EDQUOT"].includes(String(codeOf(error))) ? storageFull({ cause: error }) : error;
